"""The page allocator: which free frame comes next is a policy, and memory may run out at any allocation."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import accumulate

from warmboot.memmap import Range, merge, whole
from warmboot.memmap.range_set import RangeSet
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

__all__ = ["PageAllocator", "Policy"]

_NONE = range(0)
_NO_BORDERS = RangeSet()
_EVERYWHERE = 1 << 64
_LAST = 1 << 52  # after every frame of 64-bit addresses


class Policy(StrEnum):
    """Which free frame is handed out next."""

    CONTIGUOUS = "contiguous"  # in one run, as on a machine that has just started
    SCATTERED = "scattered"  # all over memory, by a seed
    ADVERSARIAL = "adversarial"  # first those that are some segment's destination
    SETTLED = "settled"  # contiguous, but pages of zeros alone lie where they go, and are not copied


class PageAllocator:
    """Hands out frames of RAM and takes them back; counts both, so that a leak shows.

    `ram` are physical ranges. Frames are handed out in runs, as most of what is done with a frame can be done with all
    of a run at once. What is free is kept as runs too, so that the size of memory costs nothing. Frames from the
    physical address `below` on come after all others, as of emulated processors not all reach them.
    """

    def __init__(
        self,
        ram: Sequence[Range],
        *,
        policy: Policy = Policy.CONTIGUOUS,
        seed: int = 0,
        below: int = _EVERYWHERE,
    ) -> None:
        frames = [(each.start >> PAGE_SHIFT, each.end >> PAGE_SHIFT) for each in whole(merge(ram), PAGE_SIZE)]
        self._ram = RangeSet(frames)
        self._free = RangeSet(frames)
        self.nr_pages: int = sum(stop - start for start, stop in frames)
        self._aims = policy is Policy.ADVERSARIAL
        self._settles = policy is Policy.SETTLED
        self.left: int = self.nr_pages  # pages that may be handed out before memory, or an arranged limit, is used up
        self._limited = False
        self.allocated: int = 0  # pages handed out and not taken back
        self._parts = _from_the_middle(self._ram, below >> PAGE_SHIFT)
        self._aimed: list[range] = []  # what is handed out before all others, from the end
        # Scattered: frames are at positions 0, 1, 2, ... of a walk; those taken back come before further ones.
        self._scattered = (
            _scattered_walk(list(self._ram.runs()), self.nr_pages, seed)
            if policy is Policy.SCATTERED and self.nr_pages
            else None
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

    def aim_at(self, destinations: Iterable[range], blank: Iterable[range] = ()) -> None:
        """Tell which frames are destinations, and which of those get nothing but zeros; the policy says which of them
        are handed out first."""
        if self._aims or self._settles:
            aims = destinations if self._aims else blank
            self._aimed = [part for each in aims for part in self._ram.within(each.start, each.stop)]

    def add(self, ram: Range) -> None:
        """Take over more RAM, whole pages: what a crash reservation gives up."""
        start, stop = ram.start >> PAGE_SHIFT, ram.end >> PAGE_SHIFT
        self._ram.add(start, stop)
        self._free.add(start, stop)
        self.nr_pages += stop - start
        if not self._limited:
            self.left += stop - start
        if self._scattered is not None:
            self._recycled.extend(range(start, stop))

    def alloc_run(self, count: int, borders: RangeSet = _NO_BORDERS) -> range:
        """1 to `count` frames in a row that cross none of the `borders`; none where memory has run out."""
        count = min(count, self.left)
        if count <= 0:
            return _NONE
        if self._settles and borders is not _NO_BORDERS:  # for an image's contents alone
            if frames := self._next_settled(count, borders):
                return self._counted(frames)
        elif self._scattered is not None or (self._aimed and self._aims):
            first = self._next_single()
            if first is not None:
                return self._take(first, first + 1)
        for begin, end in self._parts:
            frames = self._free.take(begin, end, count, borders)
            if frames:
                return self._counted(frames)
        raise AssertionError("the free frames are miscounted")

    def alloc_run_outside(self, count: int, borders: RangeSet) -> range:
        """The same of frames that are not in the set of `borders`."""
        count = min(count, self.left)
        found = self._block(1, borders) if count > 0 else None
        return self._take(found[0], min(found[1], found[0] + count)) if found else _NONE

    def alloc_pages(self, order: int, borders: RangeSet = _NO_BORDERS) -> int | None:
        """The first of 2**order frames, aligned to as many, all outside `borders`; None where there are none."""
        count = 1 << order
        found = self._block(count, borders) if count <= self.left else None
        return self._take(found[0], found[0] + count).start if found else None

    def _take(self, first: int, stop: int) -> range:
        """Hand out these frames, which are free."""
        self._free.remove(first, stop)
        return self._counted(range(first, stop))

    def _counted(self, frames: range) -> range:
        """The frames, which are no longer free."""
        self.allocated += len(frames)
        self.left -= len(frames)
        return frames

    def free_runs(self, runs: Iterable[range]) -> None:
        """Take frames back; each must be in use. Runs that follow one another go at once."""
        first = stop = 0
        for each in runs:
            if each.start != stop:
                self._give_back(first, stop)
                first = each.start
            stop = each.stop
        self._give_back(first, stop)

    def put_back(self, frames: range) -> None:
        """Take frames back as if they had not been handed out."""
        self._give_back(frames.start, frames.stop)
        if self._limited:
            self.left += len(frames)

    def free_pages(self, first: int, order: int = 0) -> None:
        """Take 2**order frames back."""
        self._give_back(first, first + (1 << order))

    def _give_back(self, first: int, stop: int) -> None:
        if first == stop:
            return
        try:
            self._free.insert(first, stop)
        except ValueError:
            raise ValueError("a frame is freed that is not in use") from None
        self.allocated -= stop - first
        if not self._limited:
            self.left += stop - first
        if self._scattered is not None:
            self._recycled.extend(range(first, stop))

    def _next_single(self) -> int | None:
        """The next free frame of a policy that has no runs; None for those of the contiguous one."""
        while self._aimed:
            frames = self._aimed.pop()
            if frames:
                self._aimed.append(frames[:-1])
                if frames[-1] in self._free:
                    return frames[-1]
        return None if self._scattered is None else self._next_scattered(self._scattered)

    def _next_settled(self, count: int, borders: RangeSet) -> range:
        """Take 1 to `count` frames in a row that get nothing but zeros; none where all of those are in use."""
        while self._aimed:
            aim = self._aimed.pop()
            if aim and (frames := self._free.take(aim.start, aim.stop, count, borders)):
                self._aimed.append(range(frames.stop, aim.stop))
                return frames
        return _NONE

    def _next_scattered(self, walk: Callable[[int], int]) -> int:
        while self._recycled:
            frame = self._recycled.pop()
            if frame in self._free:
                return frame
        while walk(self._position) not in self._free:
            self._position += 1
        return walk(self._position)

    def _block(self, count: int, borders: RangeSet) -> tuple[int, int] | None:
        """`count` free frames or more, as first and stop: the next ones of the policy, and then any."""
        parts = self._parts
        if self._scattered is not None:
            begin = self._scattered(self._blocks)
            self._blocks += 1
            parts = [(begin, self._ram.look(begin)[1])]
        for begin, end in parts:
            found = self._search(count, borders, begin, end)
            if found is not None:
                return found
        return self._search(count, borders, 0, _LAST)  # which may lie across the parts, too

    def _search(self, count: int, borders: RangeSet, begin: int, end: int) -> tuple[int, int] | None:
        at = begin
        while (found := self._free.find(at)) is not None and found[0] < end:
            first, stop = found
            first += -first % count
            inside, border = borders.look(first)
            if first + count > stop or first + count > end:
                at = stop
            elif inside or border < first + count:
                at = border
            else:
                return first, stop if stop < border else border
        return None


def _from_the_middle(ram: RangeSet, limit: int) -> list[tuple[int, int]]:
    """Upwards from the middle of the RAM before frame `limit`, if there is any: kernels go low and initrds high,
    and what is between is free. Then what is below, and at last the frames from `limit` on.
    """
    lower = list(ram.within(0, limit)) or list(ram.within(0, _LAST))
    middle = _frame_at(lower, sum(map(len, lower)) // 2)
    if middle >= limit:
        return [(middle, _LAST), (0, middle)]
    return [(middle, limit), (0, middle), (limit, _LAST)]


def _frame_at(ram: Sequence[range], position: int) -> int:
    """The frame at `position` of all RAM laid end to end; 0 where there is none."""
    for each in ram:
        if position < len(each):
            return each[position]
        position -= len(each)
    return 0


def _scattered_walk(ram: Sequence[range], total: int, seed: int) -> Callable[[int], int]:
    """A permutation of all frames by a stride that has no divisor in common with their number."""
    stride = max(1, int(total * 0.6180339887)) + seed * 2 % total
    while math.gcd(stride, total) != 1:
        stride += 1
    before = [0, *accumulate(map(len, ram))]  # how many frames lie before each range

    def frame(number: int) -> int:
        position = (number * stride + seed) % total
        at = bisect_right(before, position) - 1
        return ram[at][position - before[at]]

    return frame
