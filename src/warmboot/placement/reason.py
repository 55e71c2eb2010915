"""Why a part of an image lies where it does: the search that found its place, and what was in the way.

While parts are placed only the search and the list of free ranges are kept, which cost nothing; words are made when
somebody wants to read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warmboot.memmap.ranges import Range, intersect
from warmboot.numbers import size_text
from warmboot.records import NamedTuple

__all__ = ["Reason", "Search", "reason_text"]

_FOUR_GIB = 1 << 32
_PAGE = 4096
_ENDS = ("lowest", "highest")
_OTHERWISE = {
    "random": "a place in free RAM, chosen at random as KASLR does,",
    "fullest": "RAM whose pages are in use now, so that the kernel does not take them for its copy of the image,",
}


class Search(NamedTuple):
    """A search from one `end` of memory, "lowest" or "highest", or by chance ("random"), or for pages that are in use
    ("fullest"), for a multiple of `align`, from `least` up and ending `below`; physical addresses."""

    end: str
    align: int
    least: int
    below: int


class Reason(NamedTuple):
    """`where` was taken: by a `search`, or without one because it has to be there. `missed` is where it would have
    gone first, if that was not free; `free` is what was free then."""

    where: Range
    search: Search | None
    missed: Range | None
    free: Sequence[Range]


def reason_text(reason: Reason, others: Mapping[str, Sequence[Range]]) -> str:
    """The reason in one line. `others` are ranges that may be in the way, by name: segments, reservations."""
    search = reason.search
    if search is None:
        return "its own address, which is free RAM"
    by_end = search.end in _ENDS
    words = [f"the {search.end} free range" if by_end else _OTHERWISE[search.end]]
    if search.least:
        words.append(f"from {_address(search.least)} up")
    if search.below < 1 << 64:
        words.append(f"below {_address(search.below)}")
    if search.align > _PAGE:
        words.append(f"at a multiple of {size_text(search.align)}")
    text = " ".join(words)
    if not by_end:
        return text
    small = [size for size in _passed(reason, search) if size]
    if small:
        what = "free range" if len(small) == 1 else "free ranges"
        text += f"; {len(small)} {what} {'below' if search.end == 'lowest' else 'above'} cannot hold it"
        text += f" ({'the largest has ' if len(small) > 1 else ''}{size_text(max(small))})"
    if reason.missed is not None:
        text += f"; its own address {reason.missed.start:#x} is not free: {_obstacle(reason, others)}"
    return text


def _passed(reason: Reason, search: Search) -> list[int]:
    """The sizes of the free ranges that were looked at first, within the limits."""
    limits = [Range(search.least, max(search.least, search.below))]
    inside = intersect(reason.free, limits)
    if search.end == "lowest":
        return [each.size for each in inside if each.end <= reason.where.start]
    return [each.size for each in inside if each.start >= reason.where.end]


def _obstacle(reason: Reason, others: Mapping[str, Sequence[Range]]) -> str:
    """What lies where it would have gone first."""
    missed = reason.missed
    if missed is None:
        return ""
    free = sum(each.size for each in intersect(reason.free, [missed]))
    for name, ranges in others.items():
        if any(each.overlaps(missed) and each != reason.where for each in ranges):
            return f"the {name} lies there"
    if free:
        return f"{size_text(missed.size - free)} of its {size_text(missed.size)} are not free RAM"
    return "no RAM is free there"


def _address(address: int) -> str:
    if address and address % (1 << 20) == 0 and address < 1 << 50:
        return size_text(address)
    return f"{address:#x}"
