"""How much of each part of memory a dump has, as the numbers of an SVG: runs without number become a few columns."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from warmboot.report.text.words import size_text

__all__ = ["Column", "Filled", "filled"]

_WIDTH = 1000.0  # units of the SVG, all of its width
_COLUMNS = 200  # in all its width
_HEIGHT = 44.0
_JOIN = 2 << 20  # bytes: ranges that are this close form one strip
_MOST_STRIPS = 24


@dataclass(frozen=True, slots=True)
class Column:
    """From `x` on, `width` wide; as high as the share of its memory that is in the dump, in units of the SVG."""

    x: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Filled:
    """A range of memory: where, how much of it there is in the dump, and the same drawn."""

    where: str
    size: str
    in_dump: str
    share: str
    width: float
    columns: tuple[Column, ...]


@dataclass(slots=True)
class _Strip:
    start: int
    end: int
    there: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.end - self.start


def filled(there: Iterable[range], left_out: Iterable[range]) -> tuple[tuple[Filled, ...], int]:
    """The strips of memory, lowest first, the largest ones alone where there are many; and how many are not shown.

    Both are runs of physical addresses, sorted, and share none.
    """
    found = sorted(_strips(there, left_out), key=lambda each: -each.size)
    shown = sorted(found[:_MOST_STRIPS], key=lambda each: each.start)
    longest = max((each.size for each in shown), default=1)
    return tuple(_filled(each, longest) for each in shown), max(0, len(found) - _MOST_STRIPS)


def _strips(there: Iterable[range], left_out: Iterable[range]) -> Iterator[_Strip]:
    strip: _Strip | None = None
    ours = ((each.start, each.stop, True) for each in there)
    others = ((each.start, each.stop, False) for each in left_out)
    for start, stop, is_there in heapq.merge(ours, others):
        if strip is None or start - strip.end > _JOIN:
            if strip is not None:
                yield strip
            strip = _Strip(start, stop)
        strip.end = max(strip.end, stop)
        if is_there:
            strip.there.append((start, stop))
    if strip is not None:
        yield strip


def _filled(strip: _Strip, longest: int) -> Filled:
    count = max(1, _COLUMNS * strip.size // longest)
    wide = max(_WIDTH / _COLUMNS, _WIDTH * strip.size / longest) / count
    bytes_in = [0] * count
    for start, stop in strip.there:
        first, last = start - strip.start, stop - strip.start
        while first < last:
            cell = first * count // strip.size
            end = min(last, -(-(cell + 1) * strip.size // count))
            bytes_in[cell] += end - first
            first = end
    heights = []
    for cell, size in enumerate(bytes_in):
        whole = -(-(cell + 1) * strip.size // count) - -(-cell * strip.size // count)
        heights.append(round(max(1.0, _HEIGHT * min(1.0, size / whole)), 2) if size else 0.0)
    columns, cell = [], 0
    for height, same in groupby(heights):
        cells = len(list(same))
        if height:
            columns.append(Column(round(cell * wide, 2), round(cells * wide, 2), height))
        cell += cells
    total = sum(bytes_in)
    return Filled(
        f"{strip.start:#x}-{strip.end - 1:#x}",
        size_text(strip.size),
        size_text(total),
        f"{100 * total / strip.size:.1f} %",
        round(wide * count, 2),
        tuple(columns),
    )
