"""Why a page is in a dump or not: the rule, and what struct page says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.page_filter import PageFilter
from warmboot.dump.page_rules import FACTS, HIGHEST_LEVEL, Level, Rule

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["Why", "why"]


@dataclass(frozen=True, slots=True)
class Why:
    """`rule` decides at the highest level, 31; `excluded_at` are the levels at which the page is left out.

    Members of struct page are None where the dump does not have it. `address` is physical; `head` is the frame of the
    block's first page, by which the page was judged.
    """

    pfn: int
    address: int
    rule: str
    what: str
    test: str
    since: str
    levels: tuple[str, ...]  # those that switch the rule on
    excluded_at: tuple[int, ...]
    head: int | None
    flags: int | None
    mapping: int | None
    mapcount: int | None
    private: int | None
    tail: bool | None
    unsure: tuple[str, ...]


def why(source: Source, pfn: int) -> Why:
    """The rule for a frame. Raises DumpError for one that no memory has."""
    pages = PageFilter(source, HIGHEST_LEVEL)
    if not 0 <= pfn < max(1, pages.end):
        raise DumpError(f"frame {pfn:#x}: the last one is {pages.end - 1:#x}", hint="give the number of a page")
    rule, head = pages.rule_and_head(pfn)
    zero = False
    if not rule.excludes and rule is not Rule.HOLE:
        zero = not any(source.physical(pfn * pages.page_size, pages.page_size))
        rule = Rule.ZERO if zero else rule
    fact = FACTS[rule]
    layout, page = pages.layout, pages.struct_page(pfn)

    def member(offset: int | None, size: int = 8) -> int | None:
        return None if page is None or offset is None else int.from_bytes(page[offset : offset + size], "little")

    compound = member(layout.compound) if layout else None
    return Why(
        pfn=pfn,
        address=pfn * pages.page_size,
        rule=rule.name.lower(),
        what=fact.what,
        test=fact.test,
        since=fact.since,
        levels=tuple((each.name or "").lower() for each in Level if each & fact.levels),
        excluded_at=tuple(_levels(source, pfn, zero=zero)),
        head=head,
        flags=member(layout.flags) if layout else None,
        mapping=member(layout.mapping) if layout else None,
        mapcount=member(layout.mapcount, 4) if layout else None,
        private=member(layout.private) if layout else None,
        tail=None if compound is None else bool(compound & 1),
        unsure=pages.unsure,
    )


def _levels(source: Source, pfn: int, *, zero: bool) -> list[int]:
    """The levels at which the page is left out; the rules of each are asked, not guessed."""
    found = []
    for level in range(HIGHEST_LEVEL + 1):
        if (zero and level & Level.ZERO) or (not level & Level.ZERO and PageFilter(source, level).rule(pfn).excludes):
            found += [level] if level & Level.ZERO else [level, level | Level.ZERO]
    return sorted(set(found))
