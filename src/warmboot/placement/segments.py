"""The segments of an ELF or multiboot image as whole pages, at its own addresses or moved as a whole."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from warmboot.errors import RefusedError
from warmboot.images.elf import ElfSegment
from warmboot.memmap.ranges import Range, merge
from warmboot.placement.layout import LOW, MORE_MEMORY, Layout
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE, Readable, Segment, Source, page_align

__all__ = ["add_image", "distance", "extent"]

_SPARE_SEGMENTS = 3  # at least: parameters, purgatory, initrd
_MOST_FILLED = 4 << 20  # bytes of gaps that are filled with zeros to have fewer segments


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

    Raises RefusedError where that is not free RAM. Nothing is copied, and nothing allocated, before that is known.
    """
    runs = _runs(segments)
    if layout.count + len(runs) > KEXEC_SEGMENT_MAX - _SPARE_SEGMENTS:
        raise RefusedError(
            f"{name}: {layout.count + len(runs)} segments, a kernel takes {KEXEC_SEGMENT_MAX} with all that belongs to"
            " the image",
            hint="link the image so that it has fewer",
        )
    taken = []
    for run in runs:
        there = Range(run.where.start + moved, run.where.end + moved)
        if not layout.space.has(there):
            raise RefusedError(
                f"{name}: it must lie at {there}, which is not free RAM",
                hint="give a relocatable image, such as the bzImage of the same kernel",
            )
        taken.append(layout.space.take(there))
    first, *_ = [layout.add("kernel", run.source(), there) for run, there in zip(runs, taken, strict=True)]
    return first


@dataclass(frozen=True, slots=True)
class _Piece:
    """Bytes of the file and the physical address where they lie; nothing of the file lies on top of them."""

    paddr: int
    data: memoryview

    @property
    def end(self) -> int:
        return self.paddr + self.data.nbytes


@dataclass(slots=True)
class _Run:
    """Whole pages that become one segment: what the file has of them, then zeros."""

    where: Range
    pieces: list[_Piece]

    @property
    def data_end(self) -> int:
        """The address after the last byte of the file, or where the run begins."""
        return self.pieces[-1].end if self.pieces else self.where.start

    def source(self) -> Source:
        """The bytes up to `data_end`: those of the file where they lie in one piece, else a copy."""
        start = self.where.start
        if not self.pieces:
            return Readable(memoryview(b""))
        if len(self.pieces) == 1 and self.pieces[0].paddr == start:
            return Readable(self.pieces[0].data)
        pages = bytearray(self.data_end - start)
        for each in self.pieces:
            pages[each.paddr - start : each.end - start] = each.data
        return Readable.of(pages)


def _runs(segments: Sequence[ElfSegment]) -> list[_Run]:
    """The image as runs of pages, sorted: cut where it takes no memory, and at pages of which the file has nothing,
    so that no memory is ever spent on a gap. Short gaps are filled where there would be too many runs.
    """
    pieces = iter([*_on_top(segments), None])
    piece = next(pieces)
    runs: list[_Run] = []
    for taken in merge(extent([each]) for each in segments):
        run = _Run(taken, [])
        while piece is not None and piece.paddr < taken.end:
            page = piece.paddr // PAGE_SIZE * PAGE_SIZE
            if page > page_align(run.data_end):
                runs.append(_Run(Range(run.where.start, page), run.pieces))
                run = _Run(Range(page, taken.end), [])
            run.pieces.append(piece)
            piece = next(pieces)
        runs.append(run)
    return _with_gaps_filled(runs, KEXEC_SEGMENT_MAX - _SPARE_SEGMENTS)


def _with_gaps_filled(runs: list[_Run], most: int) -> list[_Run]:
    """At most `most` runs, if that can be had by filling gaps of _MOST_FILLED bytes in all, the shortest first."""
    gaps = sorted(
        (after.where.start - before.data_end, number)
        for number, (before, after) in enumerate(pairwise(runs), 1)
        if before.where.end == after.where.start
    )
    filled: set[int] = set()
    left = _MOST_FILLED
    for size, number in gaps[: max(0, len(runs) - most)]:
        left -= size
        if left < 0:
            return runs
        filled.add(number)
    joined: list[_Run] = []
    for number, run in enumerate(runs):
        if number in filled:
            joined[-1] = _Run(Range(joined[-1].where.start, run.where.end), [*joined[-1].pieces, *run.pieces])
        else:
            joined.append(run)
    return joined


def _on_top(segments: Sequence[ElfSegment]) -> Iterator[_Piece]:
    """What of each segment's bytes no later one lies on, as a loader that follows the file would leave it; sorted.

    One pass over the places where segments begin and end: n log n, however they overlap.
    """
    bounds = []
    for number, each in enumerate(segments):
        if each.data.nbytes:
            bounds += [(each.paddr, number), (each.paddr + each.data.nbytes, number)]
    bounds.sort()
    here: list[int] = []  # a heap of those that lie here, the latest first; those that have ended are taken off late
    for (start, number), (end, _) in pairwise(bounds):
        if segments[number].paddr == start:
            heapq.heappush(here, -number)
        while here and segments[-here[0]].paddr + segments[-here[0]].data.nbytes <= start:
            heapq.heappop(here)
        if here and end > start:
            top = segments[-here[0]]
            yield _Piece(start, top.data[start - top.paddr : end - top.paddr])
