"""Which pages a dump leaves out: section by section, in order, with the rule of each page in a byte.

One section (128 MiB of memory, 2 MiB of struct pages) is looked at a time, so memory stays small on any machine. The
rules of the first 64 GiB are kept for those who go through them again; beyond, a section takes a millisecond or two.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError, Memory
from warmboot.dump.memory_map import MemoryMap, memory_map
from warmboot.dump.page_layout import PageLayout, page_layout
from warmboot.dump.page_rules import HIGHEST_LEVEL, Rule
from warmboot.memmap.range_set import RangeSet

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["PageFilter", "Section"]

_SECTION_PAGES = 1 << 15  # where the kernel does not say
_REMEMBERED = 1 << 24  # pages whose rules are kept


@dataclass(frozen=True, slots=True)
class Section:
    """Rules for frames from `first` on, a byte each; `Rule.HOLE` where the source has no whole page."""

    first: int
    rules: bytes


class PageFilter:
    """The filter for a dump level, 0 to 31. `unsure` says why pages are kept that a level would leave out."""

    def __init__(self, memory: Source, level: int = HIGHEST_LEVEL) -> None:
        self._memory = memory
        self.level: int = level
        info = memory.vmcoreinfo
        self.page_size: int = info.page_size or 4096
        self._layout, missing = page_layout(info)
        self._map = memory_map(memory, info)
        if missing or self._map is None:
            from warmboot.dump.page_types import completed  # noqa: PLC0415 - most kernels say all themselves

            info = completed(memory)
            self._layout, missing = page_layout(info)
            self._map = memory_map(memory, info)
        self.unsure: tuple[str, ...] = tuple(f"neither VMCOREINFO nor BTF has {each}" for each in missing)
        if self._map is None:
            self.unsure += ("nothing says where mem_section is",)
        self.section_pages: int = self._map.section_pages if self._map else _SECTION_PAGES
        self._remembered: list[Section] | None = None
        self._left_out: RangeSet = memory.left_out

    @property
    def layout(self) -> PageLayout | None:
        """Where the kernel keeps what is asked of a page."""
        return self._layout

    @cached_property
    def end(self) -> int:
        """The frame after the last one that has bytes, or had them."""
        stop = 0
        for ranges in (self._memory.ranges, self._left_out):
            for run in whole_pages(ranges, self.page_size):
                stop = max(stop, run.stop)
        return stop

    def _frames(self) -> Iterator[tuple[range, bool]]:
        """The runs of frames, lowest first, and whether the source had left them out; there may be very many."""
        return heapq.merge(
            ((run, False) for run in whole_pages(self._memory.ranges, self.page_size)),
            ((run, True) for run in whole_pages(self._left_out, self.page_size)),
            key=lambda each: each[0].start,
        )

    def sections(self) -> Iterator[Section]:
        """Every section that has a page, lowest first."""
        if self._remembered is not None:
            yield from self._remembered
            return
        found, room = list[Section](), _REMEMBERED
        for section in self._sections():
            room -= len(section.rules)
            if room >= 0:
                found.append(section)
            yield section
        if room >= 0:
            self._remembered = found

    def _sections(self) -> Iterator[Section]:
        beyond, rule = 0, Rule.KEPT  # frame up to which the last block of an earlier section goes
        for number, runs in self._by_section(self._frames()):
            first = number * self.section_pages
            present = bytearray(min(self.section_pages, self.end - first))
            for run, _ in runs:
                present[run.start - first : run.stop - first] = b"\1" * len(run)
            found, more, kind = self._section(number, first, bytes(present))
            if beyond > first:
                _cover(found, beyond - first, rule)
            if more:
                beyond, rule = first + len(found) + more, kind
            for run in (run for run, earlier in runs if earlier):
                found[run.start - first : run.stop - first] = bytes([Rule.EARLIER]) * len(run)
            yield Section(first, bytes(found))

    def rule(self, frame: int) -> Rule:
        """The rule that decided about one frame, but for zeros."""
        return self.rule_and_head(frame)[0]

    def rule_and_head(self, frame: int) -> tuple[Rule, int | None]:
        """The rule, and the first frame in a row before it that has the same; None where there is no memory."""
        last: Section | None = None
        for last in self.sections():
            if last.first + len(last.rules) > frame:
                break
        if last is None or not last.first <= frame < last.first + len(last.rules):
            return Rule.HOLE, None
        return Rule(last.rules[frame - last.first]), self._head(frame)

    def _head(self, frame: int) -> int | None:
        """The first page of the compound page that a frame is in, or itself."""
        layout, page = self._layout, self.struct_page(frame)
        if layout is None or page is None or layout.compound is None or self._map is None:
            return None
        word = int.from_bytes(page[layout.compound : layout.compound + 8], "little")
        if not word & 1:
            return frame
        number, index = divmod(frame, self.section_pages)
        here = (self._map.struct_pages(number, layout.size) or 0) + index * layout.size
        # A pointer to the head; 7.1, where struct page is a power of two: a mask that makes the head's address.
        head = word - 1 if abs(here - (word - 1)) < 1 << 40 else here & word
        return frame - (here - head) // layout.size if head <= here else None

    def struct_page(self, frame: int) -> bytes | None:
        """The bytes of a frame's struct page, and of the next one; None where they are not in the dump."""
        if self._map is None or self._layout is None:
            return None
        number, index = divmod(frame, self.section_pages)
        size = self._layout.size
        start = self._map.struct_pages(number, size)
        if start is None:
            return None
        try:
            return self._memory.virtual(start + index * size, 2 * size if index + 1 < self.section_pages else size)
        except DumpError:
            return None

    def _by_section(self, runs: Iterator[tuple[range, bool]]) -> Iterator[tuple[int, list[tuple[range, bool]]]]:
        number, within = -1, list[tuple[range, bool]]()
        for run, earlier in runs:
            start = run.start
            while start < run.stop:
                here = start // self.section_pages
                stop = min(run.stop, (here + 1) * self.section_pages)
                if here != number and within:
                    yield number, within
                    within = []
                number = here
                within.append((range(start, stop), earlier))
                start = stop
        if within:
            yield number, within

    def _section(self, number: int, first: int, present: bytes) -> tuple[bytearray, int, Rule]:
        from warmboot.dump.page_classes import classify  # noqa: PLC0415

        rules = bytearray(present.translate(_UNLOOKED))
        if self._map is None or self._layout is None:
            return rules, 0, Rule.KEPT
        start = self._map.struct_pages(number, self._layout.size)
        if start is None:
            return rules, 0, Rule.KEPT
        beyond, kind = 0, Rule.KEPT
        for at, pages in _struct_pages(self._memory, start, len(present), self._layout.size, self._map):
            part = present[at : at + len(pages) // self._layout.size]
            done = classify(pages, first + at, part, self._layout, self.level)
            if beyond > at:
                _cover(done.rules, beyond - at, kind)
            rules[at : at + len(part)] = done.rules
            if done.beyond:
                beyond, kind = at + len(part) + done.beyond, done.rule
        return rules, max(0, beyond - len(present)), kind


_UNLOOKED = bytes([Rule.HOLE, Rule.UNKNOWN]).ljust(256, b"\0")  # by whether a page is present


def _cover(rules: bytearray, count: int, rule: Rule) -> None:
    """Give the first `count` pages the rule of the block that goes on over them; holes stay."""
    table = bytes(Rule.HOLE if each == Rule.HOLE else rule for each in range(256))
    rules[:count] = rules[:count].translate(table)


def _struct_pages(memory: Memory, start: int, count: int, size: int, where: MemoryMap) -> Iterator[tuple[int, bytes]]:
    """The struct pages of `count` frames: at once, or in pieces around what the dump has not."""
    try:
        yield 0, memory.virtual(start, count * size)
    except DumpError:
        step = max(1, where.page_size // size)
        if where.page_size % size:
            return  # pieces would cut a struct page
        for at in range(0, count, step):
            try:
                yield at, memory.virtual(start + at * size, min(step, count - at) * size)
            except DumpError:
                continue


def whole_pages(ranges: RangeSet, page_size: int) -> Iterator[range]:
    """Runs of frames all of whose bytes are in the ranges, lowest first; runs that touch are one."""
    start = stop = 0
    for each in ranges.runs():
        first, end = -(-each.start // page_size), each.stop // page_size
        if first >= end:
            continue
        if first == stop:
            stop = end
            continue
        if start < stop:
            yield range(start, stop)
        start, stop = first, end
    if start < stop:
        yield range(start, stop)
