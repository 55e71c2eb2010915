"""struct kimage: one image that is loaded or being loaded, and its page list."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from itertools import islice
from typing import TYPE_CHECKING

from warmboot.memmap import Range
from warmboot.memmap.range_set import RangeSet
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Segment

if TYPE_CHECKING:
    from warmboot.purgatory import Entry, Region

__all__ = ["ENTRIES_PER_PAGE", "FileParts", "Ind", "Kimage", "KimageType"]

ENTRIES_PER_PAGE = PAGE_SIZE // 8 - 1  # of an indirection page; its last word points to the next one
_ALL_FRAMES = 1 << 52  # behind every frame of 64-bit addresses
_NO_BORDERS = RangeSet()
_U64 = 0xFFFF_FFFF_FFFF_FFFF


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


@dataclass(slots=True)
class FileParts:
    """What kexec_file_load made of its files, in the image's terms. Addresses are physical.

    `purgatory` is where Linux's own purgatory would lie, `own_purgatory` are the control pages from which ours runs in
    its place, empty where there was no room for them.
    """

    purgatory: Segment | None = None
    kernel: Segment | None = None
    parameters: int = 0  # where the new kernel finds what it is told
    command_line: bytes = b""  # without its final zero
    entry: Entry | None = None  # how the new kernel is entered
    elf_headers: Segment | None = None  # crash images: elfcorehdr=
    elf_headers_room: Range = field(default_factory=lambda: Range(0, 0))  # what of it the crash kernel must leave alone
    elf_headers_change: bool = False  # they are no part of the digest: CONFIG_CRASH_HOTPLUG
    kho_scratch: Segment | None = None
    own_purgatory: range = range(0)
    own_code: bytes = b""  # what was put there
    regions: tuple[Region, ...] = ()  # what the purgatory checks


def _no_entries() -> array[int]:
    return array("Q")


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
    indirection_pages: list[int] = field(default_factory=list)
    # The page list without indirections, in the byte order of x86 and of all computers whose memory QEMU shares with
    # it. What belongs into the last indirection page is put there when it is complete.
    entries: array[int] = field(default_factory=_no_entries)
    control_page: int = _U64  # crash images: physical address from which the next control page is sought
    control_code_page: int = 0
    pgd: int = 0  # frame of the identity mapping's top table
    swap_page: int | None = None
    vmcoreinfo_page: int | None = None
    control_pages: list[range] = field(default_factory=list)  # normal images only
    transition_pages: list[range] = field(default_factory=list)  # of the mapping of the relocation code's old address
    taken: list[range] = field(default_factory=list)  # all frames that came from the page allocator, in order
    spare_pages: list[range] = field(default_factory=list)  # sources of pages that have become their own
    dest_pages: RangeSet | None = None  # destinations that were allocated before their turn
    borders: RangeSet = _NO_BORDERS  # frames that are no good as a control page
    file: FileParts | None = None  # of one that kexec_file_load made: file_mode
    no_cma: bool = False
    segment_cma: dict[int, range] = field(default_factory=dict)  # segments that lie in contiguous memory: their frames

    def find_borders(self, limit: int) -> None:
        """Fill in the borders: destinations, which do not overlap, and what is from frame `limit` on."""
        runs = [(mem >> PAGE_SHIFT, mem + memsz >> PAGE_SHIFT) for _, _, mem, memsz, _ in self.segment]
        runs.sort()
        if self.end_is_inclusive and runs[:1] == [(0, 0)]:
            runs, limit = [], 0  # to Linux since 6.8 a segment of no bytes at 0 is everywhere
        elif runs and runs[-1][1] > limit:
            runs = [(min(start, limit), min(stop, limit)) for start, stop in runs]
        runs.append((limit, _ALL_FRAMES))
        self.borders = RangeSet(runs)

    def destinations(self) -> Iterator[range]:
        """The frames of each segment."""
        for each in self.segment:
            yield range(each.mem >> PAGE_SHIFT, each.end >> PAGE_SHIFT)

    def blank(self) -> Iterator[range]:
        """Those frames of each segment that get nothing but zeros."""
        for each in self.segment:
            yield range((each.mem + each.bufsz + PAGE_SIZE - 1) >> PAGE_SHIFT, each.end >> PAGE_SHIFT)

    def first_entry(self, number: int) -> int:
        """The entry of the first page of segment `number`; its destination is the one before."""
        listed = enumerate(islice(self.destinations(), number))
        return 1 + sum(1 + len(each) for place, each in listed if place not in self.segment_cma)

    @property
    def sources(self) -> list[list[int]]:
        """Of each segment of a loaded image: the frame behind each page."""
        return [
            [*self.segment_cma[place]]
            if place in self.segment_cma
            else [entry >> PAGE_SHIFT for entry in self.entries[self.first_entry(place) :][: len(each)]]
            for place, each in enumerate(self.destinations())
        ]

    @property
    def nr_entries(self) -> int:
        """Entries of the page list, without indirections."""
        return len(self.entries)

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

    def entry_address(self, number: int) -> int:
        """Physical address of entry `number` of the page list."""
        page, slot = divmod(number, ENTRIES_PER_PAGE)
        return (self.indirection_pages[page] << PAGE_SHIFT) + 8 * slot

    @property
    def nr_pages(self) -> int:
        """Pages that the image took from the page allocator, control pages included."""
        return sum(map(len, self.taken))
