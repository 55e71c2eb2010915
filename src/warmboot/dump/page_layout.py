"""Where a kernel keeps what the filter asks of a page: offsets in struct page, flags, page types.

VMCOREINFO has most of it; what it lacks comes from the dump's BTF, if there is one. The comments name the release that
moved something. Nothing here asks for the kernel's version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["PageLayout", "PageType", "page_layout"]

_PAGE_TYPE_BASE = 0xF0000000  # include/linux/page-flags.h
_U32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class PageType:
    """A page type: page._mapcount, read as a 32-bit number, is `value` where `mask` has bits."""

    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Offsets are in bytes from the start of struct page; flags are masks of page.flags. None is: not known."""

    size: int  # of struct page
    flags: int
    mapping: int
    mapcount: int
    private: int
    compound: int | None  # page.compound_head; 7.1 and later: page.compound_info. Bit 0 tells a tail page in both
    lru: int
    private_flag: int
    swapcache: int
    swapbacked: int | None  # 4.10 and later
    slab_flag: int  # 0 from 6.10 on
    hwpoison: int  # 0 where the kernel has no memory-failure handling
    head: int
    order: int | None  # offset of the byte with a compound page's order, from the head page on
    hugetlb_byte: tuple[int, int] | None  # to 6.5: offset of the destructor's number, and hugetlb's
    hugetlb_flag: tuple[int, int] | None  # 6.6 to 6.8: offset of the second page's flags, and the mask
    buddy: PageType
    slab: PageType | None
    hugetlb: PageType | None
    offline: PageType | None
    unaccepted: PageType | None
    typed: bool  # 6.12 and later: a type is a number in the top byte
    orders: int  # blocks of free pages have an order below this


def page_layout(info: Vmcoreinfo) -> tuple[PageLayout | None, tuple[str, ...]]:
    """The layout, or None, and the names of what is missing for it."""
    needed = {
        "SIZE(page)": info.size("page"),
        "OFFSET(page.flags)": info.offset("page.flags"),
        "OFFSET(page.mapping)": info.offset("page.mapping"),
        "OFFSET(page._mapcount)": info.offset("page._mapcount"),
        "OFFSET(page.private)": info.offset("page.private"),
        "NUMBER(PG_lru)": info.number("PG_lru"),
        "NUMBER(PG_private)": info.number("PG_private"),
        "NUMBER(PG_swapcache)": info.number("PG_swapcache"),
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": info.number("PAGE_BUDDY_MAPCOUNT_VALUE"),
        "LENGTH(zone.free_area)": info.length("zone.free_area"),
    }
    missing = tuple(name for name, value in needed.items() if value is None)
    if missing:
        return None, missing
    size, flags, mapping, mapcount, private, lru, private_flag, swapcache, buddy, orders = (
        value for value in needed.values() if value is not None
    )
    if not 32 <= size <= 128 or max(flags, mapping, private) > size - 8 or mapcount > size - 4 or orders > 32:
        return None, ("SIZE(page)",)
    typed = not buddy & 0xFFFFFF  # 6.12: a number in the top byte; before: the complement of one bit
    compound = info.offset("page.compound_head")
    if compound is None:
        compound = info.offset("page.compound_info")  # 7.1: renamed

    def page_type(name: str) -> PageType | None:
        value = info.number(f"PAGE_{name}_MAPCOUNT_VALUE")
        return None if value is None else _type(value, typed=typed)

    hugetlb_flag = info.number("PG_hugetlb")
    return PageLayout(
        size=size,
        flags=flags,
        mapping=mapping,
        mapcount=mapcount,
        private=private,
        compound=None if compound is None or compound > size - 8 else compound,
        lru=_mask(lru),
        private_flag=_mask(private_flag),
        swapcache=_mask(swapcache),
        swapbacked=_flag(info, "PG_swapbacked"),
        slab_flag=_flag(info, "PG_slab") or 0,  # 6.10: a page type
        hwpoison=_flag(info, "PG_hwpoison") or 0,
        head=info.number("PG_head_mask") or 0,
        order=_order(info, size, flags),
        hugetlb_byte=_destructor(info, size),
        hugetlb_flag=None if hugetlb_flag is None else (size + flags, _mask(hugetlb_flag)),
        buddy=_type(buddy, typed=typed),
        slab=page_type("SLAB"),
        hugetlb=page_type("HUGETLB"),
        offline=page_type("OFFLINE"),
        unaccepted=page_type("UNACCEPTED"),
        typed=typed,
        orders=orders,
    ), ()


def _mask(bit: int) -> int:
    return 1 << (bit & 63)


def _flag(info: Vmcoreinfo, name: str) -> int | None:
    bit = info.number(name)
    return None if bit is None else _mask(bit)


def _type(value: int, *, typed: bool) -> PageType:
    value &= _U32
    if typed:
        return PageType(0xFF000000, value)
    # PageType() of 4.18 to 6.11: the bits of the base are set, and the bit of the type is clear.
    return PageType(_PAGE_TYPE_BASE | ~value & _U32, _PAGE_TYPE_BASE)


def _order(info: Vmcoreinfo, size: int, flags: int) -> int | None:
    """The order's low byte, as kernels of both endiannesses that are read here have it."""
    before = info.offset("page.compound_order")  # to 6.2: in the second page
    if before is not None:
        return size + before
    folio = info.offset("folio._folio_order")  # 6.3 to 6.5: in struct folio, whose first page is the head
    if folio is not None:
        return folio
    # 6.6: in the low byte of folio._flags_1, the second page's flags. Such kernels tell hugetlb by a flag or a type.
    if info.number("PG_hugetlb") is not None or info.number("PAGE_HUGETLB_MAPCOUNT_VALUE") is not None:
        return size + flags
    return None


def _destructor(info: Vmcoreinfo, size: int) -> tuple[int, int] | None:
    number = info.number("HUGETLB_PAGE_DTOR")
    if number is None:
        return None
    before = info.offset("page.compound_dtor")  # to 6.2
    if before is not None:
        return size + before, number
    folio = info.offset("folio._folio_dtor")  # 6.3 to 6.5
    return None if folio is None else (folio, number)
