"""struct kimage: one image that is loaded or being loaded, and its page list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

import numpy as np

from warmboot.kernel.memory import Frames
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Segment

__all__ = ["ENTRIES_PER_PAGE", "Ind", "Kimage", "KimageType"]

ENTRIES_PER_PAGE = PAGE_SIZE // 8 - 1  # of an indirection page; its last word points to the next one
_U64 = 0xFFFF_FFFF_FFFF_FFFF


def _no_frames() -> Frames:
    return np.empty(0, dtype=np.int64)


class Ind(IntFlag):
    """What a kimage_entry_t is, in its low bits; above them is a physical page address."""

    DESTINATION = 0x1
    INDIRECTION = 0x2
    DONE = 0x4
    SOURCE = 0x8


class KimageType(IntEnum):
    """What the image is for."""

    DEFAULT = 0
    CRASH = 1


@dataclass(slots=True, eq=False)
class Kimage:
    """An image. Pages are frame numbers; lists that Linux keeps through struct page are lists of frames here."""

    start: int  # physical address that is jumped to
    segment: list[Segment]
    type: KimageType = KimageType.DEFAULT
    preserve_context: bool = False
    hotplug_support: bool = False
    end_is_inclusive: bool = True  # see Profile.destination_end_inclusive

    head: int = 0  # kimage_entry_t
    nr_entries: int = 0  # in the page list, without indirections
    indirection_pages: list[int] = field(default_factory=list)
    control_page: int = _U64  # crash images: physical address from which the next control page is sought
    control_code_page: int = 0
    pgd: int = 0  # frame of the identity mapping's top table
    swap_page: int | None = None
    control_pages: list[tuple[int, int]] = field(default_factory=list)  # first frame and order; normal images only
    transition_pages: list[int] = field(default_factory=list)  # of the mapping of the relocation code's old address
    dest_pages: Frames = field(default_factory=_no_frames)  # destinations that were allocated before their turn
    unusable_pages: list[int] = field(default_factory=list)
    vmcoreinfo_page: int | None = None
    sources: list[Frames] = field(default_factory=list)  # of each loaded segment: the frame behind each page, or -1
    first_entry: list[int] = field(default_factory=list)  # of each loaded segment: its first source's entry number

    @property
    def nr_segments(self) -> int:
        """How many segments the image has."""
        return len(self.segment)

    def segment_overlapping(self, start: int, end: int) -> Segment | None:
        """The first segment that has a byte of start to `end` inclusive, by unsigned 64-bit arithmetic.

        A segment of no bytes at address 0 ends at the last address there is, and so overlaps everything.
        """
        for each in self.segment:
            if end >= each.mem and start <= (each.mem + each.memsz - 1) & _U64:
                return each
        return None

    def is_destination_range(self, start: int, end: int) -> bool:
        """kimage_is_destination_range, for bytes start to `end` inclusive."""
        if self.end_is_inclusive:
            return self.segment_overlapping(start, end) is not None
        return any(end + 1 > each.mem and start < each.end for each in self.segment)

    def are_destinations(self, frames: Frames) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of `frames` are some segment's destination."""
        found = np.zeros(len(frames), dtype=np.bool_)
        for each in self.segment:
            if each.memsz:
                found |= (frames >= each.mem >> PAGE_SHIFT) & (frames < each.end >> PAGE_SHIFT)
            elif not each.mem and self.end_is_inclusive:
                found[:] = True
        return found

    def entry_address(self, number: int) -> int:
        """Physical address of entry `number` of the page list."""
        page, slot = divmod(number, ENTRIES_PER_PAGE)
        return (self.indirection_pages[page] << PAGE_SHIFT) + 8 * slot

    def pages(self) -> Iterator[Frames]:
        """Every frame that the image took from the page allocator."""
        for frames in self.sources:
            yield frames[frames >= 0]
        yield self.dest_pages
        singles = [*self.indirection_pages, *self.transition_pages, *self.unusable_pages]
        yield np.array(singles, dtype=np.int64)

    @property
    def nr_pages(self) -> int:
        """Pages that the image took from the page allocator, control pages included."""
        return sum(len(frames) for frames in self.pages()) + sum(1 << order for _, order in self.control_pages)
