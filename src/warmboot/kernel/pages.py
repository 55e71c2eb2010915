"""The page allocator: which free frame comes next is a policy, and memory may run out at any allocation."""

from __future__ import annotations

import math
import mmap
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import product

from warmboot.memmap import Range, merge, whole
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

__all__ = ["PageAllocator", "Policy"]

_NORESERVE = 0x4000
_EVERYWHERE = 1 << 64
_FREE, _USED = b"\0", b"\1"
_NONE = range(0)


class Policy(StrEnum):
    """Which free frame is handed out next."""

    CONTIGUOUS = "contiguous"  # in one run, as on a machine that has just started
    SCATTERED = "scattered"  # all over memory, by a seed
    ADVERSARIAL = "adversarial"  # first those that are some segment's destination


class PageAllocator:
    """Hands out frames of RAM and takes them back; counts both, so that a leak shows.

    `ram` are physical ranges, and so are `later`, which may be added one day. Frames are handed out in runs, as most
    of what is done with a frame can be done with all of a run at once. Where frames come in runs, those below the
    physical address `below` are handed out before all others.
    """

    def __init__(
        self,
        ram: Sequence[Range],
        *,
        later: Sequence[Range] = (),
        policy: Policy = Policy.CONTIGUOUS,
        seed: int = 0,
        below: int = _EVERYWHERE,
    ) -> None:
        self._ranges = [_frames(each) for each in whole(merge(ram), PAGE_SIZE)]
        self.nr_pages: int = sum(len(each) for each in self._ranges)
        self.policy = policy
        self.left: int = self.nr_pages  # pages that may be handed out before memory, or an arranged limit, is used up
        self._limited = False
        self.allocated: int = 0  # pages handed out and not taken back
        # One byte a frame, of which only what is looked at costs memory: a terabyte machine has 256 million.
        top = max((each.end >> PAGE_SHIFT for each in [*ram, *later]), default=0)
        self._map = mmap.mmap(-1, top + 1, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
        for each in self._ranges:
            self._map[each.stop] = 1  # no run goes on behind RAM
        # Contiguous: all frames in the order of the policy; none is free before _next, a frame of piece _at or its end.
        self._below = below >> PAGE_SHIFT
        self._walk = _from_the_middle(self._ranges, self._below)
        self._at, self._next, self._end = 0, self._walk[0].start, self._walk[0].stop
        self._aimed: list[range] = []  # what an adversarial allocator hands out before all others, from the end
        # Scattered: frames are at positions 0, 1, 2, ... of a walk; those taken back come before further ones.
        self._scattered = (
            _scattered_walk(self._ranges, self.nr_pages, seed) if policy is Policy.SCATTERED and self._ranges else None
        )
        self._position = 0
        self._recycled: list[int] = []  # some may be in use again
        self._blocks = 0  # positions from which a block was sought

    @property
    def free(self) -> int:
        """Pages that are left."""
        return self.nr_pages - self.allocated

    def fail_after(self, pages: int | None) -> None:
        """Let every allocation fail after `pages` more, as when memory has run out; None: let none."""
        self._limited = pages is not None
        self.left = self.free if pages is None else min(pages, self.free)

    def aim_at(self, destinations: Iterable[range]) -> None:
        """Tell an adversarial allocator which frames it should hand out first; others take no notice."""
        if self.policy is Policy.ADVERSARIAL:
            both = product(destinations, self._ranges)
            self._aimed = [range(max(each.start, ram.start), min(each.stop, ram.stop)) for each, ram in both]

    def add(self, ram: Range) -> None:
        """Take over more RAM, whole pages below the highest that it had: what a crash reservation gives up."""
        frames = _frames(ram)
        ranges = [Range(each.start << PAGE_SHIFT, each.stop << PAGE_SHIFT) for each in self._ranges]
        self._ranges = [_frames(each) for each in merge([*ranges, ram])]
        self.nr_pages += len(frames)
        if not self._limited:
            self.left += len(frames)
        self._walk.append(frames)
        self._map[frames.start] = 0
        if not any(frames.stop in each for each in self._ranges):
            self._map[frames.stop] = 1
        if self._scattered is not None:
            self._recycled.extend(frames)

    def alloc_run(self, count: int, borders: Sequence[int] = ()) -> range:
        """1 to `count` frames in a row that cross none of the `borders`; none where memory has run out.

        Borders are frames in ascending order, each the first that is on the other side.
        """
        count = min(count, self.left)
        if not count:
            return _NONE
        if self._scattered is None and not self._aimed:
            first = self._map.find(_FREE, self._next, self._end)
            if first < 0:
                first = self._next_free()
            self._next = first
        else:
            first, count = self._next_single(), 1
        return self._take(first, count, borders)

    def alloc_run_outside(self, count: int, borders: Sequence[int]) -> range:
        """The same of frames that are outside: before the first border, behind the second, and so on."""
        count = min(count, self.left)
        first = self._block(1, borders) if count > 0 else None
        return _NONE if first is None else self._take(first, count, borders)

    def alloc_pages(self, order: int, borders: Sequence[int] = ()) -> int | None:
        """The first of 2**order frames, aligned to as many, all outside `borders`; None where there are none."""
        count = 1 << order
        first = self._block(count, borders) if count <= self.left else None
        if first is not None:
            self._take(first, count)
        return first

    def _take(self, first: int, count: int, borders: Sequence[int] = ()) -> range:
        """Of `count` frames from a free one on as many as are free and cross no border."""
        stop = first + count
        if count > 1:
            used = self._map.find(_USED, first, stop)
            if used >= 0:
                stop = used
            number = bisect_right(borders, first)
            if number < len(borders) and borders[number] < stop:
                stop = borders[number]
            if first < self._below < stop:
                stop = self._below
            count = stop - first
        self._map[first:stop] = _USED * count
        self.allocated += count
        self.left -= count
        return range(first, stop)

    def free_runs(self, runs: Iterable[range]) -> None:
        """Take frames back; each must be in use. Runs that follow one another go at once."""
        first = stop = 0
        for each in runs:
            if each.start != stop:
                self._free(first, stop)
                first = each.start
            stop = each.stop
        self._free(first, stop)

    def put_back(self, frames: range) -> None:
        """Take frames back as if they had not been handed out."""
        self._free(frames.start, frames.stop)
        if self._limited:
            self.left += len(frames)

    def free_pages(self, first: int, order: int = 0) -> None:
        """Take 2**order frames back."""
        self._free(first, first + (1 << order))

    def _free(self, first: int, stop: int) -> None:
        if self._map.find(_FREE, first, stop) >= 0:
            raise ValueError("a frame is freed that is not in use")
        self._map[first:stop] = bytes(stop - first)
        self.allocated -= stop - first
        if not self._limited:
            self.left += stop - first
        if self._scattered is not None:
            self._recycled.extend(range(first, stop))
            return
        if first >= self._next and not self._at:
            return
        for number in range(self._at + 1):
            piece = self._walk[number]
            if first < piece.stop and piece.start < stop:
                if number < self._at or first < self._next:
                    self._go_on(number)
                    self._next = max(first, piece.start)
                break

    def _next_free(self) -> int:
        """The first frame in the order of the walk that is free, of which there is one."""
        while (first := self._map.find(_FREE, self._next, self._end)) < 0:
            self._go_on(self._at + 1)
        return first

    def _go_on(self, number: int) -> None:
        piece = self._walk[number]
        self._at, self._next, self._end = number, piece.start, piece.stop

    def _next_single(self) -> int:
        """The next free frame of a policy that has no runs."""
        frame = self._next_aimed()
        if frame is not None:
            return frame
        return self._next_free() if self._scattered is None else self._next_scattered(self._scattered)

    def _next_aimed(self) -> int | None:
        while self._aimed:
            frames = self._aimed.pop()
            if frames:
                self._aimed.append(frames[:-1])
                frame = frames[-1]
                if not self._map[frame]:
                    return frame
        return None

    def _next_scattered(self, walk: Callable[[int], int]) -> int:
        while self._recycled:
            frame = self._recycled.pop()
            if not self._map[frame]:
                return frame
        while self._map[walk(self._position)]:
            self._position += 1
        return walk(self._position)

    def _block(self, count: int, borders: Sequence[int]) -> int | None:
        """The first of `count` free frames: the next ones of the policy, and then any."""
        begin, end = self._next, self._end
        if self._scattered is not None:
            begin = self._scattered(self._blocks)
            end = next(each.stop for each in self._ranges if begin in each)
            self._blocks += 1
        found = self._search(count, borders, begin, end)
        if found is None:
            everywhere = (self._search(count, borders, each.start, each.stop) for each in self._ranges)
            found = next((each for each in everywhere if each is not None), None)
        return found

    def _search(self, count: int, borders: Sequence[int], begin: int, end: int) -> int | None:
        while (at := self._map.find(_FREE * count, begin, end)) >= 0:
            begin = at + -at % count
            number = bisect_right(borders, begin)
            if number & 1:
                begin = borders[number]
            elif count > 1 and number < len(borders) and borders[number] < begin + count:
                begin = borders[number + 1]
            elif begin == at:
                return at
        return None


def _frames(ram: Range) -> range:
    return range(ram.start >> PAGE_SHIFT, ram.end >> PAGE_SHIFT)


def _frame_at(ranges: Sequence[range], position: int) -> int:
    """The frame at `position` of all RAM laid end to end."""
    for each in ranges:
        if position < len(each):
            return each[position]
        position -= len(each)
    raise IndexError(position)


def _from_the_middle(ranges: Sequence[range], below: int) -> list[range]:
    """Upwards from the middle: kernels are placed low and initrds high, and what is between is free.

    The middle is that of the frames before frame `below`, if there are any; the others come last.
    """
    lower = [range(each.start, min(each.stop, below)) for each in ranges if each.start < below]
    upper = [range(max(each.start, below), each.stop) for each in ranges if each.stop > below]
    if not lower:
        lower, upper = upper, []
    total = sum(map(len, lower))
    if not total:
        return [_NONE]
    return _around_the_middle(lower, total) + upper


def _around_the_middle(ranges: Sequence[range], total: int) -> list[range]:
    middle = _frame_at(ranges, total // 2)
    number = next(number for number, each in enumerate(ranges) if middle in each)
    begun = ranges[number]
    return [
        *(range(middle, begun.stop), *ranges[number + 1 :]),
        *(*ranges[:number], range(begun.start, middle)),
    ]


def _scattered_walk(ranges: Sequence[range], total: int, seed: int) -> Callable[[int], int]:
    """A permutation of all frames by a stride that has no divisor in common with their number."""
    stride = max(1, int(total * 0.6180339887)) + seed * 2 % total
    while math.gcd(stride, total) != 1:
        stride += 1
    return lambda position: _frame_at(ranges, (position * stride + seed) % total)
