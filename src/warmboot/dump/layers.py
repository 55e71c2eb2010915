"""Pieces of a file that overlap where they belong, made into pieces that do not: what is wanted more hides others."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence

__all__ = ["Layers"]

_BY_NUMPY = 1 << 16  # pieces from which sorting by NumPy pays


class Layers:
    """Where in a file the bytes of each address are: a look takes the logarithm of the number of pieces.

    `starts`, `stops` and `places` are of each piece: its addresses, and where in the file the first of them is; those
    that come first are wanted most. All are below 2**63; a piece without addresses is passed over.
    """

    def __init__(self, starts: Sequence[int], stops: Sequence[int], places: Sequence[int]) -> None:
        self._starts, self._stops, self._places = array("q"), array("q"), array("q")
        for start, stop, place in _laid(starts, stops, places):
            if self._stops and self._stops[-1] == start and self._places[-1] + start - self._starts[-1] == place:
                self._stops[-1] = stop
                continue
            self._starts.append(start)
            self._stops.append(stop)
            self._places.append(place)

    def __len__(self) -> int:
        return len(self._starts)

    def find(self, address: int) -> tuple[int, int] | None:
        """Where in the file an address is, and how many bytes from there on are in a row; None where it is nowhere."""
        number = bisect_right(self._starts, address) - 1
        if number < 0 or address >= self._stops[number]:
            return None
        return self._places[number] + address - self._starts[number], self._stops[number] - address

    def within(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """What is there of `start` up to `stop`, lowest first: start, stop, and where in the file that is."""
        number = max(0, bisect_right(self._starts, start) - 1)
        while number < len(self._starts) and self._starts[number] < stop:
            first, last = max(start, self._starts[number]), min(stop, self._stops[number])
            if first < last:
                yield first, last, self._places[number] + first - self._starts[number]
            number += 1

    def runs(self) -> Iterator[tuple[int, int]]:
        """Starts and stops of what is there, lowest first; what touches is one."""
        begun = ended = -1
        for start, stop in zip(self._starts, self._stops, strict=True):
            if start != ended:
                if begun < ended:
                    yield begun, ended
                begun = start
            ended = stop
        if begun < ended:
            yield begun, ended


def _laid(starts: Sequence[int], stops: Sequence[int], places: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    order = _sorted(starts)
    count, number, at = len(order), 0, 0
    there = list[int]()  # a heap of the pieces that may reach `at`, the most wanted first
    while number < count or there:
        if not there:
            at = max(at, starts[order[number]])
        while number < count and starts[order[number]] <= at:
            if stops[order[number]] > at:
                heapq.heappush(there, order[number])
            number += 1
        while there and stops[there[0]] <= at:
            heapq.heappop(there)
        if not there:
            continue
        best = there[0]
        stop = stops[best] if number == count else min(stops[best], starts[order[number]])
        yield at, stop, places[best] + at - starts[best]
        at = stop


def _sorted(starts: Sequence[int]) -> Sequence[int]:
    if len(starts) < _BY_NUMPY or not isinstance(starts, array):
        return sorted(range(len(starts)), key=starts.__getitem__)
    try:
        import numpy as np  # noqa: PLC0415 - for many alone
    except ImportError:  # a capture initrd has none
        return sorted(range(len(starts)), key=starts.__getitem__)

    return array("q", np.argsort(np.frombuffer(starts, np.int64), kind="stable").tobytes())
