"""The page allocator: which free frame comes next is a policy, and memory may run out at any allocation."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import chain

import numpy as np
import numpy.typing as npt

from warmboot.kernel.memory import Frames
from warmboot.memmap import Range, merge, whole
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

__all__ = ["PageAllocator", "Policy"]

_NORESERVE = 0x4000
_NONE: Frames = np.empty(0, dtype=np.int64)
_BATCH = 1024  # candidates looked at in one step of a search for a block


class Policy(StrEnum):
    """Which free frame is handed out next."""

    CONTIGUOUS = "contiguous"  # in one run, as on a machine that has just started
    SCATTERED = "scattered"  # all over memory, by a seed
    ADVERSARIAL = "adversarial"  # first those that are some segment's destination


class PageAllocator:
    """Hands out frames of RAM and takes them back; counts both, so that a leak shows.

    `ram` are physical ranges, and so are `later`, which may be added one day. After `fail_after` more pages every
    allocation fails, as when memory has run out.
    """

    def __init__(
        self,
        ram: Sequence[Range],
        *,
        later: Sequence[Range] = (),
        policy: Policy = Policy.CONTIGUOUS,
        seed: int = 0,
    ) -> None:
        self._ranges = [(each.start >> PAGE_SHIFT, each.end >> PAGE_SHIFT) for each in whole(merge(ram), PAGE_SIZE)]
        self.nr_pages = sum(end - start for start, end in self._ranges)
        self._walk_end = self.nr_pages
        self.policy = policy
        self.fail_after: int | None = None
        self.allocated = 0  # pages handed out and not taken back
        self._aimed = _NONE  # frames that an adversarial allocator has yet to hand out before all others
        # One byte a frame, of which only what is looked at costs memory: a terabyte machine has 256 million.
        top = max((each.end >> PAGE_SHIFT for each in [*ram, *later]), default=0)
        self._map = mmap.mmap(-1, max(top, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
        self._used: npt.NDArray[np.bool_] = np.frombuffer(self._map, dtype=np.bool_)
        # Frames in the order of the policy are those at positions 0, 1, 2, ... of a walk through all of them.
        self._walk = (
            _scattered_walk(self.nr_pages, seed) if policy is Policy.SCATTERED else _walk_from_the_middle(self.nr_pages)
        )
        self._position = 0  # every frame before it was handed out, and is in use or recycled
        self._recycled: list[Frames] = []  # frames taken back; some may be in use again
        self._blocks: list[tuple[int, int]] = []  # blocks taken back: first frame and order
        self._block_position = 0  # where the search for a block begins

    @property
    def free(self) -> int:
        """Pages that are left."""
        return self.nr_pages - self.allocated

    @property
    def left(self) -> int:
        """Pages that may be handed out before memory, or the arranged limit, is used up."""
        return self.free if self.fail_after is None else min(self.fail_after, self.free)

    def aim_at(self, destinations: Sequence[tuple[int, int]]) -> None:
        """Tell an adversarial allocator which frames (first, end) it should hand out first; others take no notice."""
        if self.policy is Policy.ADVERSARIAL:
            frames = [np.arange(first, end, dtype=np.int64) for first, end in destinations]
            self._aimed = self._owned(np.concatenate([_NONE, *frames]))[::-1]

    def add(self, ram: Range) -> None:
        """Take over more RAM, whole pages below the highest that it had: what a crash reservation gives up."""
        frames = np.arange(ram.start >> PAGE_SHIFT, ram.end >> PAGE_SHIFT, dtype=np.int64)
        self._ranges.append((ram.start >> PAGE_SHIFT, ram.end >> PAGE_SHIFT))
        self.nr_pages += len(frames)
        self._recycled.append(frames)

    def alloc_pages(self, order: int) -> int | None:
        """The first of 2**order frames, aligned to as many; None where there are none."""
        if order == 0:
            frames = self.alloc_frames(1)
            return int(frames[0]) if len(frames) else None
        count = 1 << order
        if self._granted(count) < count:
            return None
        first = self._find_block(order)
        if first is not None:
            self._take(np.arange(first, first + count, dtype=np.int64))
        return first

    def alloc_frames(self, count: int) -> Frames:
        """As `count` times alloc_pages(0): up to `count` frames, fewer where memory runs out."""
        missing = self._granted(count)
        found = []
        while missing and len(self._aimed):
            frames, self._aimed = self._aimed[:missing], self._aimed[missing:]
            frames = frames[~self._used[frames]]
            self._take(frames)
            found.append(frames)
            missing -= len(frames)
        while missing and self._recycled:
            frames = self._recycled.pop()
            frames = frames[~self._used[frames]]
            if len(frames) > missing:
                self._recycled.append(frames[missing:])
                frames = frames[:missing]
            self._take(frames)
            found.append(frames)
            missing -= len(frames)
        while missing and self._position < self._walk_end:
            span = min(missing, self._walk_end - self._position)
            frames = self._frames_at(self._walk(self._position, span))
            self._position += span
            frames = frames[~self._used[frames]]
            self._take(frames)
            found.append(frames)
            missing -= len(frames)
        return found[0] if len(found) == 1 else np.concatenate([_NONE, *found])

    def free_frames(self, frames: Frames) -> None:
        """Take frames back; each must be in use."""
        if not len(frames):
            return
        if not self._used[frames].all():
            raise ValueError("a frame is freed that is not in use")
        self._used[frames] = False
        self.allocated -= len(frames)
        self._recycled.append(frames)

    def free_pages(self, first: int, order: int = 0) -> None:
        """Take 2**order frames back."""
        frames = np.arange(first, first + (1 << order), dtype=np.int64)
        self.free_frames(frames)
        if order:
            self._blocks.append((first, order))

    def _granted(self, count: int) -> int:
        return min(count, self.left)

    def _take(self, frames: Frames) -> None:
        self._used[frames] = True
        self.allocated += len(frames)
        if self.fail_after is not None:
            self.fail_after -= len(frames)

    def _owned(self, frames: Frames) -> Frames:
        """Those of `frames` that are free frames of this allocator."""
        inside = np.zeros(len(frames), dtype=np.bool_)
        for start, end in self._ranges:
            inside |= (frames >= start) & (frames < end)
        frames = frames[inside]
        return frames[~self._used[frames]]

    def _find_block(self, order: int) -> int | None:
        """The first of 2**order free frames: aimed at, used before, or the next ones of the walk."""
        count = 1 << order
        aimed = self._aimed[self._aimed % count == 0][:_BATCH]
        for first in aimed[~self._used[aimed]].tolist():
            if self._all_free(first, count):
                return int(first)
        while self._blocks:
            first, its_order = self._blocks.pop()
            if its_order == order and self._all_free(first, count):
                return first
        # What was in use when the search passed it may be free by now.
        for begin in chain(range(self._block_position, self._walk_end, _BATCH), range(0, self._block_position, _BATCH)):
            candidates = self._frames_at(self._walk(begin, min(_BATCH, self._walk_end - begin)))
            for frame in candidates[(candidates % count == 0) & ~self._used[candidates]].tolist():
                if self._all_free(frame, count):
                    self._block_position = begin
                    return int(frame)
        return None

    def _all_free(self, first: int, count: int) -> bool:
        return len(self._owned(np.arange(first, first + count, dtype=np.int64))) == count

    def _frames_at(self, positions: Frames) -> Frames:
        """The frames at `positions` of all RAM laid end to end."""
        frames = positions
        base = 0
        for start, end in self._ranges:
            size = end - start
            here = (positions >= base) & (positions < base + size)
            frames = np.where(here, positions + (start - base), frames)
            base += size
        return frames


def _walk_from_the_middle(total: int) -> Callable[[int, int], Frames]:
    """Upwards from the middle: kernels are placed low and initrds high, and what is between is free."""

    def walk(position: int, count: int) -> Frames:
        return (np.arange(position, position + count, dtype=np.int64) + total // 2) % max(total, 1)

    return walk


def _scattered_walk(total: int, seed: int) -> Callable[[int, int], Frames]:
    """A permutation of all positions by a stride that has no divisor in common with their number."""
    stride = max(1, int(total * 0.6180339887)) + seed * 2 % max(total, 1)
    while np.gcd(stride, max(total, 1)) != 1:
        stride += 1

    def walk(position: int, count: int) -> Frames:
        # Products stay below 2**63: positions and strides are below 2**31 frames, which is 8 TiB of RAM.
        index = np.arange(position, position + count, dtype=np.int64)
        return (index * stride + seed) % total

    return walk
