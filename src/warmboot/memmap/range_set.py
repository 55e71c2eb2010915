"""A set of frames or addresses, kept as the runs that it is made of: few runs cost little, however long they are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

__all__ = ["RangeSet"]

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
        self._borders = [border for run in runs for border in run]

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
        inside, border = self.look(start)
        return inside and stop <= border

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

    def remove(self, start: int, stop: int) -> None:
        """Take away the numbers from `start` up to `stop`, of which there is at least one."""
        borders = self._borders
        first, last = bisect_left(borders, start), bisect_right(borders, stop)
        borders[first:last] = ((start,) if first & 1 else ()) + ((stop,) if last & 1 else ())
