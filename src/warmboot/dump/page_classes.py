"""Classifying the pages of a memory section: a piece of it at once, by the columns of its struct pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.page_columns import Columns, every
from warmboot.dump.page_rules import Level, Rule

if TYPE_CHECKING:
    from warmboot.dump.page_layout import PageLayout, PageType

__all__ = ["Classified", "classify"]

_ANON = 1  # PAGE_MAPPING_ANON
_TYPES, _NO_TYPE = 0xF0000000, 0xFFFFFFFF  # page types begin at the one; the other is a page that nobody maps
_AT_ONCE = 1 << 12  # struct pages, which fit into a processor's cache
_MOST_ORDER = 40
_ONE = re.compile(b"\1")


@dataclass(frozen=True, slots=True)
class Classified:
    """A rule for each page, a byte each; and how far the last block goes on beyond them, with its rule."""

    rules: bytearray
    beyond: int  # pages
    rule: Rule


def classify(pages: bytes, first: int, present: bytes, layout: PageLayout, level: int) -> Classified:
    """The rules for pages from frame `first` on, whose struct pages are `pages`; `present` is 0 for those not there.

    A block (a compound page, free pages in a row) is judged by its first page, and the pages in it are not looked at.
    """
    count, end, last = len(present), 0, Rule.KEPT
    rules = bytearray()
    blocks = list[tuple[int, int]]()
    for at in range(0, count, _AT_ONCE):
        piece = _Piece(pages, at, present[at : at + _AT_ONCE], layout, level)
        rules += piece.rules
        blocks += piece.blocks(first)
    for start, size in blocks:
        if start >= end:
            end, last = start + size, Rule(rules[start])
            rules[start:end] = bytes([last]) * (min(end, count) - start)
    if 0 in present:
        there = int.from_bytes(present, "little")
        told = int.from_bytes(rules, "little") & there * 0xFF | (every(count) ^ there) * Rule.HOLE
        rules = bytearray(told.to_bytes(count, "little"))
    return Classified(rules, max(0, end - count), last)


class _Piece:
    """`rules` has the rule of each page as if it were a block of its own."""

    def __init__(self, pages: bytes, at: int, present: bytes, layout: PageLayout, level: int) -> None:
        self._at, self._layout, self._count = at, layout, len(present)
        self._columns = Columns(pages, layout.size, at, self._count)
        self._by_rule: dict[Rule, int] = {}
        # Tail pages are judged with their head; who has no bytes begins no block.
        settled = self._columns.equal(layout.compound, 1, 1) if layout.compound is not None else 0
        if 0 in present:
            settled |= every(self._count) ^ int.from_bytes(present, "little")
        told = 0
        for rule, found in self._sets(level):
            new = found & ~settled
            if new:
                settled |= new
                told |= new * rule
                self._by_rule[rule] = new
        self.rules: bytes = told.to_bytes(self._count, "little")

    def _flag(self, mask: int) -> int:
        return self._columns.any(self._layout.flags, mask)

    def _is(self, kind: PageType) -> int:
        return self._columns.equal(self._layout.mapcount, kind.mask, kind.value)

    def _sets(self, level: int) -> Iterator[tuple[Rule, int]]:
        """The pages of each rule, the strongest rule first."""
        layout, columns = self._layout, self._columns
        if layout.hwpoison:
            yield Rule.HWPOISON, self._flag(layout.hwpoison)
        if layout.offline:
            yield Rule.OFFLINE, self._is(layout.offline)
        if not level & ~Level.ZERO:
            return
        slab = self._is(layout.slab) if layout.slab else self._flag(layout.slab_flag)  # 6.10: a type, no flag
        if level & Level.FREE:
            free = self._is(layout.buddy) & ~slab
            yield Rule.FREE, free and columns.below(layout.private, layout.orders, free)
            if layout.unaccepted:
                yield Rule.UNACCEPTED, self._is(layout.unaccepted)
        anonymous = columns.equal(layout.mapping, _ANON, _ANON) & ~slab
        if layout.typed and anonymous:  # 6.12: what has a type is no process's; page._mapcount is then no count
            typed = anonymous & columns.equal(layout.mapcount, _TYPES, _TYPES)
            if typed:
                anonymous ^= typed & ~columns.equal(layout.mapcount, _NO_TYPE, _NO_TYPE)
        if level & (Level.CACHE | Level.CACHE_PRIVATE):
            swap = layout.swapcache | (layout.swapbacked or 0)
            cache = (self._flag(layout.lru) | columns.equal(layout.flags, swap, swap)) & ~anonymous
            private = self._flag(layout.private_flag)
            yield Rule.CACHE, cache & ~private
            if level & Level.CACHE_PRIVATE:
                yield Rule.CACHE_PRIVATE, cache & private
        if level & Level.USER:
            yield Rule.USER, anonymous
            yield Rule.HUGETLB, self._hugetlb()

    def _hugetlb(self) -> int:
        layout, heads = self._layout, self._flag(self._layout.head)
        if not heads:
            return 0
        if layout.hugetlb:  # 6.9
            return heads & self._is(layout.hugetlb)
        if layout.hugetlb_flag:  # 6.6
            offset, mask = layout.hugetlb_flag
            return heads & self._columns.equal(offset, mask, mask)
        if layout.hugetlb_byte and layout.hugetlb_byte[1] <= 0xFF:
            offset, number = layout.hugetlb_byte
            return heads & self._columns.equal(offset, 0xFF, number)
        return 0

    def blocks(self, first: int) -> Iterator[tuple[int, int]]:
        """Pages that stand for more than themselves, and how many; an order that cannot be is none."""
        layout, columns = self._layout, self._columns
        free, unaccepted = self._by_rule.get(Rule.FREE, 0), self._by_rule.get(Rule.UNACCEPTED, 0)
        orders = b""
        starts = unaccepted | (free and free & columns.any(layout.private, 0xFF))
        judged = 0
        for rule, found in self._by_rule.items():
            if rule not in (Rule.FREE, Rule.UNACCEPTED):
                judged |= found
        if layout.order is not None and judged:
            orders = columns.byte(layout.order)
            starts |= judged & self._flag(layout.head)
        if not starts:
            return
        private = columns.byte(layout.private) if free else b""
        for each in _ONE.finditer(starts.to_bytes(self._count, "little")):
            at = each.start()
            decided, page = self.rules[at], self._at + at
            if decided == Rule.FREE:
                yield page, 1 << private[at]
            elif decided == Rule.UNACCEPTED:
                yield page, 1 << layout.orders - 1
            elif 0 < orders[at] <= _MOST_ORDER and not (first + page) & (1 << orders[at]) - 1:
                yield page, 1 << orders[at]
