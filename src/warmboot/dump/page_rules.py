"""Why a page of memory is left out of a dump, or kept: each rule with its dump level and the release that shaped it.

Dump levels are makedumpfile's: a sum of 1 (pages of zeros), 2 (cache without private data), 4 (cache with it too),
8 (user memory) and 16 (free pages).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = ["FACTS", "HIGHEST_LEVEL", "Level", "Rule", "RuleFact"]


class Level(IntFlag):
    """What a dump level leaves out."""

    ZERO = 1
    CACHE = 2
    CACHE_PRIVATE = 4
    USER = 8
    FREE = 16


HIGHEST_LEVEL = 31


class Rule(IntEnum):
    """The rule that decided about a page; what is kept comes first. The numbers fit into a byte."""

    KEPT = 0
    UNKNOWN = 1
    HOLE = 2
    ZERO = 3
    CACHE = 4
    CACHE_PRIVATE = 5
    USER = 6
    HUGETLB = 7
    FREE = 8
    UNACCEPTED = 9
    HWPOISON = 10
    OFFLINE = 11
    EARLIER = 12

    @property
    def excludes(self) -> bool:
        """Whether a page of this rule is not in the dump."""
        return self > Rule.HOLE


@dataclass(frozen=True, slots=True)
class RuleFact:
    """What a rule says of a page. `levels` are those that switch it on, none where it always holds."""

    what: str
    test: str
    levels: Level
    since: str = ""  # the releases that changed how the kernel marks such pages


FACTS = {
    Rule.KEPT: RuleFact("a page that the kernel uses", "no rule that this level switches on leaves it out", Level(0)),
    Rule.UNKNOWN: RuleFact("a page whose struct page is not known", "kept, as nothing says what it is", Level(0)),
    Rule.HOLE: RuleFact("no memory, or memory that the source has no bytes of", "it is in no range", Level(0)),
    Rule.ZERO: RuleFact("a page of zeros", "all bytes are zero", Level.ZERO),
    Rule.CACHE: RuleFact(
        "page cache without private data",
        "PG_lru, or PG_swapcache with PG_swapbacked (4.10); not PG_private, not anonymous",
        Level.CACHE | Level.CACHE_PRIVATE,
        "4.10: PG_swapcache counts with PG_swapbacked alone",
    ),
    Rule.CACHE_PRIVATE: RuleFact(
        "page cache with private data",
        "as cache, with PG_private",
        Level.CACHE_PRIVATE,
    ),
    Rule.USER: RuleFact(
        "anonymous memory of a process",
        "PAGE_MAPPING_ANON in page.mapping, and no slab",
        Level.USER,
        "6.10: slab is a page type, no flag; 6.12: a page of any type has no mapping",
    ),
    Rule.HUGETLB: RuleFact(
        "a huge page of hugetlbfs",
        "the head of a compound page that hugetlb owns",
        Level.USER,
        "6.6: PG_hugetlb of the second page, no destructor; 6.9: a page type",
    ),
    Rule.FREE: RuleFact(
        "a free page of the buddy allocator",
        "the page type buddy; page.private is the order of the block",
        Level.FREE,
        "6.10: slab is a page type; 6.12: types are numbers in the top byte, no bits",
    ),
    Rule.UNACCEPTED: RuleFact(
        "memory that the guest has not accepted from its host",
        "the page type unaccepted; a block of the highest order",
        Level.FREE,
        "6.16: vmcoreinfo names the type",
    ),
    Rule.HWPOISON: RuleFact("a page of broken memory", "PG_hwpoison", Level(0)),
    Rule.EARLIER: RuleFact(
        "a page that the source has left out already", "the source says that it was memory", Level(0)
    ),
    Rule.OFFLINE: RuleFact("a page that the host has taken back", "the page type offline", Level(0)),
}
