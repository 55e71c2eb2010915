"""Which pages differ between two dumps of one machine: filtered and whole, before and after."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from warmboot.dump.interface import DumpError
from warmboot.dump.page_filter import PageFilter, whole_pages
from warmboot.dump.page_rules import HIGHEST_LEVEL, Rule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from warmboot.dump.source import Source

__all__ = ["DiffKind", "DiffRange", "Difference", "DumpDiff", "diff_dumps"]

_AT_ONCE = 256  # pages
_MOST_RANGES = 1 << 16
_KINDS = len(Rule)
_SAME = 255  # code of a page that is in both, or in none


class Difference(StrEnum):
    """What a page is."""

    DIFFERS = "differs"
    ONLY_A = "only_a"
    ONLY_B = "only_b"
    UNREADABLE = "unreadable"  # in both, but the bytes are damaged or missing in one


@dataclass(frozen=True, slots=True)
class DiffKind:
    """How many pages of a kind differ in one way; `kind` is the rule that `warmboot dump why` names at level 31."""

    difference: Difference
    kind: str
    pages: int


@dataclass(frozen=True, slots=True)
class DiffRange:
    """Pages in a row that differ in the same way and are of one kind; `start` is a physical address."""

    start: int
    pages: int
    difference: Difference
    kind: str


@dataclass(frozen=True, slots=True)
class DumpDiff:
    """Numbers are of pages of `page_size` bytes. `more` is how many ranges there are besides `ranges`, which are the
    lowest ones. `same_kernel`: both say the same of themselves, but for the time of a crash."""

    page_size: int
    equal: int
    differs: int
    only_a: int
    only_b: int
    unreadable: int
    kinds: tuple[DiffKind, ...]
    ranges: tuple[DiffRange, ...]
    more: int
    same_kernel: bool


def diff_dumps(a: Source, b: Source, progress: Callable[[int, int], None] | None = None) -> DumpDiff:
    """Compare every page that is in one of the dumps. `progress` is told bytes that were looked at, of how many.

    Raises DumpError where pages are of different sizes.
    """
    filters = (PageFilter(a, HIGHEST_LEVEL), PageFilter(b, HIGHEST_LEVEL))
    size = filters[0].page_size
    if filters[1].page_size != size:
        raise DumpError(
            f"pages of {size} and of {filters[1].page_size} bytes: pages of one size were expected",
            hint="give two dumps of one machine",
        )
    work = _Work(a, b, size)
    count = filters[0].section_pages
    kinds = [_Kinds(each, count) for each in filters]
    end = max(1, max(each.end for each in filters) * size)
    for section in _sections(a, b, size, count):
        first = section * count
        work.compare(first, count, _of_both(kinds[0].of(first), kinds[1].of(first)))
        if progress:
            progress(min(end, (first + count) * size), end)
    return work.result(_alike(a, b))


def _alike(a: Source, b: Source) -> bool:
    one, other = ({n: v for n, v in each.vmcoreinfo.lines.items() if n != "CRASHTIME"} for each in (a, b))
    return one == other


class _Work:
    """What was found up to now."""

    def __init__(self, a: Source, b: Source, size: int) -> None:
        self._a, self._b, self._size = a, b, size
        self._equal = self._ranges_there = 0
        self._counts = Counter[int]()
        self._ranges = list[tuple[int, int, int]]()  # first frame, frame behind the last, code

    def compare(self, first: int, count: int, kinds: NDArray[np.uint8]) -> None:
        """A section."""
        in_a, in_b = (_present(each, first, count, self._size) for each in (self._a, self._b))
        codes = np.full(count, _SAME, np.uint8)
        for number, (alone, source) in enumerate(((in_a & ~in_b, self._a), (in_b & ~in_a, self._b)), 1):
            for at in np.flatnonzero(alone & (kinds <= Rule.HOLE)).tolist():
                kinds[at] = Rule.ZERO if self._is_zero(source, first + at) else kinds[at]
            codes[alone] = number * _KINDS + kinds[alone]
        for start, stop in _runs(in_a & in_b):
            for at in range(start, stop, _AT_ONCE):
                self._pages(first, range(at, min(stop, at + _AT_ONCE)), codes, kinds)
        self._equal += int(np.count_nonzero(in_a & in_b & (codes == _SAME)))
        self._note(first, codes)

    def _is_zero(self, source: Source, frame: int) -> bool:
        try:
            return not any(source.physical(frame * self._size, self._size))
        except DumpError:
            return False

    def _pages(self, first: int, pages: range, codes: NDArray[np.uint8], kinds: NDArray[np.uint8]) -> None:
        address, size = (first + pages.start) * self._size, len(pages) * self._size
        here = slice(pages.start, pages.stop)
        try:
            one, other = self._a.physical(address, size), self._b.physical(address, size)
        except DumpError:
            if len(pages) == 1:
                codes[here] = 3 * _KINDS + kinds[here]
                return
            for each in pages:
                self._pages(first, range(each, each + 1), codes, kinds)
            return
        if one == other:
            return
        rows = [np.frombuffer(each, np.uint64).reshape(len(pages), -1) for each in (one, other)]
        differs = (rows[0] != rows[1]).any(axis=1)
        codes[here] = np.where(differs, kinds[here], np.uint8(_SAME))

    def _note(self, first: int, codes: NDArray[np.uint8]) -> None:
        borders = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
        for start, stop in pairwise(borders):
            code = int(codes[start])
            if code == _SAME:
                continue
            self._counts[code] += stop - start
            last = self._ranges[-1] if self._ranges else (0, -1, 0)
            if last[1:] == (first + start, code):
                self._ranges[-1] = (last[0], first + stop, code)
                continue
            self._ranges_there += 1
            if len(self._ranges) < _MOST_RANGES:
                self._ranges.append((first + start, first + stop, code))

    def result(self, same_kernel: bool) -> DumpDiff:
        """The answer."""
        sums = Counter[Difference]()
        for code, count in self._counts.items():
            sums[_difference(code)] += count
        return DumpDiff(
            page_size=self._size,
            equal=self._equal,
            differs=sums[Difference.DIFFERS],
            only_a=sums[Difference.ONLY_A],
            only_b=sums[Difference.ONLY_B],
            unreadable=sums[Difference.UNREADABLE],
            kinds=tuple(DiffKind(_difference(code), _kind(code), n) for code, n in sorted(self._counts.items())),
            ranges=tuple(
                DiffRange(start * self._size, stop - start, _difference(code), _kind(code))
                for start, stop, code in self._ranges
            ),
            more=self._ranges_there - len(self._ranges),
            same_kernel=same_kernel,
        )


def _difference(code: int) -> Difference:
    return tuple(Difference)[code // _KINDS]


def _kind(code: int) -> str:
    return Rule(code % _KINDS).name.lower()


class _Kinds:
    """The rules of a filter, section by section."""

    def __init__(self, pages: PageFilter, count: int) -> None:
        self._sections, self._count = pages.sections(), count
        self._next = next(self._sections, None)

    def of(self, first: int) -> NDArray[np.uint8]:
        """The rules of the frames from `first` on, which only grows."""
        rules = np.full(self._count, Rule.HOLE, np.uint8)
        while self._next is not None and self._next.first < first + self._count:
            at = self._next.first - first
            if at >= 0:
                found = np.frombuffer(self._next.rules, np.uint8)[: self._count - at]
                rules[at : at + len(found)] = found
            self._next = next(self._sections, None)
        return rules


def _of_both(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What the first says of a page, or else the second."""
    unknown = np.isin(a, (Rule.HOLE, Rule.UNKNOWN, Rule.EARLIER))
    return np.where(unknown, b, a)


def _sections(a: Source, b: Source, size: int, count: int) -> Iterator[int]:
    """The numbers of the sections that have pages."""
    last = -1
    for run in heapq.merge(*(whole_pages(each.ranges, size) for each in (a, b)), key=lambda each: each.start):
        for section in range(max(last + 1, run.start // count), (run.stop - 1) // count + 1):
            yield section
            last = section


def _present(source: Source, first: int, count: int, size: int) -> NDArray[np.bool_]:
    present = np.zeros(count, np.bool_)
    start, stop = -1, -1
    for run in source.ranges.within(first * size, (first + count) * size):
        if run.start != stop:
            start = run.start
        stop = run.stop
        present[-(-start // size) - first : stop // size - first] = True
    return present


def _runs(bits: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], bits, [False])).astype(np.int8)))
    yield from ((start, stop) for start, stop in edges.reshape(-1, 2).tolist())
