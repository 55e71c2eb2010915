"""The segments of an ELF or multiboot image as whole pages, at its own addresses or moved as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.errors import RefusedError
from warmboot.images.elf import ElfSegment
from warmboot.memmap.ranges import Range
from warmboot.placement.layout import LOW, MORE_MEMORY, Layout
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Readable, Segment, Source, page_align

__all__ = ["add_image", "distance", "extent"]

_Pages = tuple[Range, Source]
_SPARE_SEGMENTS = 3  # at least: parameters, purgatory, initrd


def extent(segments: Sequence[ElfSegment]) -> Range:
    """The whole pages from the first segment's start to the last one's end, physical."""
    start = min(each.paddr for each in segments) // PAGE_SIZE * PAGE_SIZE
    return Range(start, page_align(max(each.paddr + each.memsz for each in segments)))


def distance(
    layout: Layout,
    segments: Sequence[ElfSegment],
    *,
    align: int,
    least: int,
    below: int,
    from_top: bool = False,
    congruent: bool = False,
) -> int:
    """How far up (or down) an image that may be moved as a whole has to be moved: not at all, if its place is free.

    Else it comes to a multiple of `align`, or if it shall stay `congruent` is moved by one. Raises RefusedError where
    it fits nowhere in that range.
    """
    own = extent(segments)
    if least <= own.start and own.end <= below and layout.space.has(own):
        return 0
    search = layout.space.highest if from_top else layout.space.lowest
    offset = own.start % align if congruent else 0
    found = search(offset + own.size, align=align, least=max(least - offset, LOW), below=below)
    if found is None:
        raise layout.space.no_room("kernel", offset + own.size, MORE_MEMORY, least=least)
    return found.start + offset - own.start


def add_image(layout: Layout, segments: Sequence[ElfSegment], name: str, moved: int = 0) -> Segment:
    """Add the image `name`, `moved` bytes up from its own addresses; the first of its segments in memory.

    Raises RefusedError where that is not free RAM.
    """
    added = []
    for where, source in _as_pages(segments):
        there = Range(where.start + moved, where.end + moved)
        if not layout.space.has(there):
            raise RefusedError(
                f"{name}: it must lie at {there}, which is not free RAM",
                hint="give a relocatable image, such as the bzImage of the same kernel",
            )
        added.append(layout.add("kernel", source, layout.space.take(there)))
    if layout.count > KEXEC_SEGMENT_MAX - _SPARE_SEGMENTS:
        raise RefusedError(
            f"{name}: {layout.count} segments, a kernel takes {KEXEC_SEGMENT_MAX} with all that belongs to the image",
            hint="link the image so that it has fewer",
        )
    return added[0]


def _as_pages(segments: Sequence[ElfSegment]) -> list[_Pages]:
    """Whole pages and what lies in them, sorted. Only segments that share a page or begin within one are copied."""
    groups: list[tuple[Range, list[ElfSegment]]] = []
    for where, each in sorted(((extent([each]), each) for each in segments), key=lambda pair: pair[0]):
        if groups and where.start < groups[-1][0].end:
            before, members = groups.pop()
            groups.append((Range(before.start, max(before.end, where.end)), [*members, each]))
        else:
            groups.append((where, [each]))
    return [(where, _source(where.start, members, segments)) for where, members in groups]


def _source(start: int, members: list[ElfSegment], order: Sequence[ElfSegment]) -> Source:
    if len(members) == 1 and members[0].paddr == start:
        return Readable(members[0].data)
    end = max(each.paddr + each.data.nbytes for each in members)
    pages = bytearray(end - start)
    for each in order:  # as a loader that follows the file would: what comes later lies on top
        if any(each is member for member in members):
            pages[each.paddr - start : each.paddr - start + each.data.nbytes] = each.data
    return Readable.of(pages)
