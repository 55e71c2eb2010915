"""A set of frames or addresses, kept as the runs that it is made of: few runs cost little, however long they are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain

__all__ = ["RangeSet"]

_NONE = range(0)
_BEYOND = 1 << 65  # after every 64-bit number


class RangeSet:
    """Numbers from 0 on, as sorted runs that do not overlap.

    The runs that a set is made of may touch, or be empty, and `look` sees the borders of each. What `add` brings joins
    the runs that it touches.
    """

    __slots__ = ("_borders",)

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        """`runs` are starts and stops, sorted, without overlaps."""
        # The runs' starts and stops in turn: a number is in the set where an odd number of borders is not after it.
        self._borders = list(chain.from_iterable(runs))

    def __bool__(self) -> bool:
        return bool(self._borders)

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._borders, number) & 1 == 1

    def runs(self) -> Iterator[range]:
        """The runs, lowest first."""
        borders = iter(self._borders)
        return map(range, borders, borders)

    def look(self, number: int) -> tuple[bool, int]:
        """Whether the number is in the set, and the next border after it: where that changes, or one run meets another.

        Without a border after it: a number after all 64-bit ones.
        """
        borders = self._borders
        at = bisect_right(borders, number)
        return at & 1 == 1, borders[at] if at < len(borders) else _BEYOND

    def find(self, number: int) -> tuple[int, int] | None:
        """Start and stop of the rest of the run that `number` is in, or else of the next run; None after the last."""
        borders = self._borders
        at = bisect_right(borders, number)
        if at & 1:
            return number, borders[at]
        return (borders[at], borders[at + 1]) if at < len(borders) else None

    def covers(self, start: int, stop: int) -> bool:
        """Whether `start` up to `stop` are in one run; `start` itself is, where they are the same."""
        at = bisect_right(self._borders, start)
        return at & 1 == 1 and stop <= self._borders[at]

    def overlaps(self, start: int, stop: int) -> bool:
        """Whether any of `start` up to `stop` is in the set."""
        inside, border = self.look(start)
        return start < stop and (inside or border < stop)

    def within(self, start: int, stop: int) -> Iterator[range]:
        """What of the set is in `start` up to `stop`, lowest first."""
        while start < stop and (found := self.find(start)) is not None and found[0] < stop:
            yield range(found[0], min(found[1], stop))
            start = found[1]

    def add(self, start: int, stop: int) -> None:
        """Add the numbers from `start` up to `stop`, of which there is at least one."""
        borders = self._borders
        first, last = bisect_left(borders, start), bisect_right(borders, stop)
        borders[first:last] = (() if first & 1 else (start,)) + (() if last & 1 else (stop,))

    def insert(self, start: int, stop: int) -> None:
        """Add the numbers from `start` up to `stop`, at least one; raises ValueError where one is there already."""
        borders = self._borders
        at = bisect_right(borders, start)
        border = borders[at] if at < len(borders) else _BEYOND
        if at & 1 or border < stop:
            raise ValueError(f"{start:#x} to {stop - 1:#x} are not all missing from the set")
        if border == stop:
            if at and borders[at - 1] == start:
                del borders[at - 1 : at + 1]
            else:
                borders[at] = start
        elif at and borders[at - 1] == start:
            borders[at - 1] = stop
        else:
            borders[at:at] = (start, stop)

    def remove(self, start: int, stop: int) -> None:
        """Take away the numbers from `start` up to `stop`, at least one; raises ValueError unless one run has them."""
        borders = self._borders
        at = bisect_right(borders, start)
        if not at & 1 or borders[at] < stop:
            raise ValueError(f"{start:#x} to {stop - 1:#x} are not in one run of the set")
        self._cut(at, start, stop)

    def take(self, begin: int, end: int, most: int, walls: RangeSet) -> range:
        """Take away 1 to `most` numbers in a row, the first there are from `begin` up to `end`; none where none is.

        They cross no border of `walls`.
        """
        borders = self._borders
        at = bisect_right(borders, begin)
        if at & 1 == 0:
            if at == len(borders) or borders[at] >= end:
                return _NONE
            begin = borders[at]
            at += 1
        stop = min(borders[at], end, begin + most)
        if most > 1:
            wall = bisect_right(walls._borders, begin)
            if wall < len(walls._borders):
                stop = min(stop, walls._borders[wall])
        self._cut(at, begin, stop)
        return range(begin, stop)

    def _cut(self, at: int, start: int, stop: int) -> None:
        """Take `start` up to `stop` out of the run that ends at border `at`."""
        borders = self._borders
        if borders[at - 1] == start:
            if borders[at] == stop:
                del borders[at - 1 : at + 1]
            else:
                borders[at - 1] = stop
        elif borders[at] == stop:
            borders[at] = start
        else:
            borders[at:at] = (start, stop)
