"""The filter's columns against the same rules told page by page, on random struct pages."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.dump.page_classes import classify
from warmboot.dump.page_layout import PageLayout, page_layout
from warmboot.dump.page_rules import Level, Rule
from warmboot.dump.vmcoreinfo import Vmcoreinfo

_COMMON = {
    "SIZE(page)": "64",
    "OFFSET(page.flags)": "0",
    "OFFSET(page.mapping)": "24",
    "OFFSET(page._mapcount)": "48",
    "OFFSET(page.private)": "40",
    "NUMBER(PG_lru)": "5",
    "NUMBER(PG_private)": "14",
    "NUMBER(PG_swapcache)": "10",
    "NUMBER(PG_swapbacked)": "17",
    "NUMBER(PG_hwpoison)": "20",
    "LENGTH(zone.free_area)": "4",
}
_TYPED = {
    **_COMMON,
    "NUMBER(PG_head_mask)": "64",
    "OFFSET(page.compound_info)": "8",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": "-268435456",
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": "-184549376",
    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": "-201326592",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": "-251658240",
    "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)": "-150994944",
}
_BITS = {
    **_COMMON,
    "NUMBER(PG_head_mask)": "65536",
    "NUMBER(PG_slab)": "9",
    "OFFSET(page.compound_head)": "8",
    "OFFSET(page.compound_order)": "17",
    "OFFSET(page.compound_dtor)": "16",
    "NUMBER(HUGETLB_PAGE_DTOR)": "2",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": "-129",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": "-257",
}


def layout(lines: dict[str, str]) -> PageLayout:
    found, missing = page_layout(Vmcoreinfo(lines))
    assert found is not None
    assert missing == ()
    return found


@st.composite
def struct_pages(draw: st.DrawFn) -> bytes:
    count = draw(st.integers(1, 40))
    bits = st.sampled_from([0, 0, 1 << 5, 1 << 14, 1 << 10, 1 << 17, 1 << 20, 1 << 6, 1 << 9, 1 << 16])
    types = st.sampled_from([0xFFFFFFFF, 0, 3, *(each << 24 for each in (0xF0, 0xF1, 0xF4, 0xF5, 0xF7)), 0xFFFFFF7F])
    pages = bytearray()
    for _ in range(count):
        page = bytearray(64)
        flags = draw(bits) | draw(bits) | draw(st.integers(0, 3))
        compound = draw(st.sampled_from([0, 0, 0, 1])) | draw(st.integers(0, 5)) << 8 | draw(st.integers(0, 3)) << 1
        struct.pack_into("<QQ", page, 0, flags, compound)
        struct.pack_into("<Q", page, 24, draw(st.sampled_from([0, 0x1000, 0x1001, 0x1003])))
        struct.pack_into("<QI", page, 40, draw(st.integers(0, 5)), draw(types))
        pages += page
    return bytes(pages)


def told_one_by_one(pages: bytes, first: int, lay: PageLayout, level: int) -> list[Rule]:
    """What makedumpfile's man page says, for each page in turn; a block is skipped once its first page is judged."""
    count, at = len(pages) // 64, 0
    rules = [Rule.KEPT] * count
    while at < count:
        rule, size = _judge(pages, at, first, lay, level)
        for each in range(at, min(count, at + size)):
            rules[each] = rule
        at += size if rule is not Rule.KEPT else 1
    return rules


def _judge(  # noqa: PLR0911 - one for each rule
    pages: bytes, at: int, first: int, lay: PageLayout, level: int
) -> tuple[Rule, int]:
    flags, compound = struct.unpack_from("<QQ", pages, at * 64)
    [mapping] = struct.unpack_from("<Q", pages, at * 64 + 24)
    private, mapcount = struct.unpack_from("<QI", pages, at * 64 + 40)
    if compound & 1:
        return Rule.KEPT, 1
    head, order, hugetlb = bool(flags & lay.head), 0, False
    if head and at + 1 < len(pages) // 64:
        order = pages[(at + 1) * 64 + (0 if lay.typed else 17)]
        hugetlb = mapcount >> 24 == 0xF4 if lay.typed else pages[(at + 1) * 64 + 16] == 2
    elif head and lay.typed:
        hugetlb = mapcount >> 24 == 0xF4
    size = 1 << order if order <= 40 and not (first + at) % (1 << order) else 1

    def is_type(number: int, bit: int) -> bool:
        return bool(mapcount >> 24 == number if lay.typed else mapcount & (0xF0000000 | bit) == 0xF0000000)

    slab = is_type(0xF5, 0) if lay.typed else bool(flags & 1 << 9)
    has_type = lay.typed and 0xF0000000 <= mapcount < 0xFFFFFFFF
    anonymous = bool(mapping & 1) and not slab and not has_type
    cache = (bool(flags & 1 << 5) or flags & (1 << 10 | 1 << 17) == 1 << 10 | 1 << 17) and not anonymous
    if flags & 1 << 20:
        return Rule.HWPOISON, size
    if is_type(0xF1, 0x100):
        return Rule.OFFLINE, size
    if level & Level.FREE and is_type(0xF0, 0x80) and not slab and private < lay.orders:
        return Rule.FREE, 1 << private
    if level & Level.FREE and lay.typed and is_type(0xF7, 0):
        return Rule.UNACCEPTED, 1 << lay.orders - 1
    if level & 6 and cache and not flags & 1 << 14:
        return Rule.CACHE, size
    if level & Level.CACHE_PRIVATE and cache:
        return Rule.CACHE_PRIVATE, size
    if level & Level.USER and anonymous:
        return Rule.USER, size
    if level & Level.USER and hugetlb:
        return Rule.HUGETLB, size
    return Rule.KEPT, 1


@given(struct_pages(), st.integers(0, 64), st.integers(0, 31), st.sampled_from([_TYPED, _BITS]))
def test_as_told_one_by_one(pages: bytes, first: int, level: int, lines: dict[str, str]) -> None:
    lay = layout(lines)
    found = classify(pages, first, b"\1" * (len(pages) // 64), lay, level)
    assert [Rule(each) for each in found.rules] == told_one_by_one(pages, first, lay, level)


def test_a_hole_begins_no_block() -> None:
    lay = layout(_TYPED)
    pages = bytearray(64 * 4)
    struct.pack_into("<QI", pages, 40, 2, 0xF0000000)  # four free pages, the first of which is not there
    found = classify(bytes(pages), 0, bytes([0, 1, 1, 1]), lay, 31)
    assert list(found.rules) == [Rule.HOLE, Rule.KEPT, Rule.KEPT, Rule.KEPT]


@pytest.mark.parametrize("name", ["SIZE(page)", "OFFSET(page.mapping)", "NUMBER(PG_lru)"])
def test_what_is_missing_is_named(name: str) -> None:
    assert page_layout(Vmcoreinfo({key: value for key, value in _TYPED.items() if key != name})) == (None, (name,))
