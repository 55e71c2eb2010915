"""Kdump-compressed dumps: the headers and page descriptors (makedumpfile's IMPLEMENTATION; header version 6).

Blocks of the machine's page size: the header, the sub header with the notes, two bitmaps (pages that were memory, pages
that are in the dump), a descriptor for each page in the dump, then the pages, each compressed by itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

__all__ = [
    "CODEC_NAMES",
    "DESCRIPTOR",
    "HEADER",
    "SIGNATURE",
    "SUB_HEADER",
    "HeaderFields",
    "Status",
    "SubHeader",
    "bitmap_size",
    "pack_header",
    "pack_sub_header",
    "sub_header",
]

SIGNATURE = b"KDUMP   "
_VERSION = 6
# signature, version, utsname (six names of 65 bytes), time stamp, status, block_size, sub_hdr_size, bitmap_blocks,
# max_mapnr, total_ram_blocks, device_blocks, written_blocks, current_cpu, nr_cpus
HEADER = struct.Struct("<8si390s6xqqIiiIIIIIIi")
# phys_base, dump_level, split, start_pfn, end_pfn, offset_vmcoreinfo, size_vmcoreinfo, offset_note, size_note,
# offset_eraseinfo, size_eraseinfo, start_pfn_64, end_pfn_64, max_mapnr_64
SUB_HEADER = struct.Struct("<QiiQQQQQQQQQQQ")
DESCRIPTOR = struct.Struct("<QIIQ")  # offset, size, flags (`Status` of the codec), page_flags
_U32, _U64 = (1 << 32) - 1, (1 << 64) - 1


class Status(IntFlag):
    """header.status; the codecs are the flags of a page descriptor too."""

    ZLIB = 0x1
    LZO = 0x2
    SNAPPY = 0x4
    INCOMPLETE = 0x8
    EXCLUDED_VMEMMAP = 0x10
    ZSTD = 0x20


CODEC_NAMES = ("zstd", "lzo", "snappy", "zlib", "none")


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """What the headers tell. Frames are numbers of pages; `utsname` is struct new_utsname, 390 bytes."""

    utsname: bytes
    time: int  # seconds since 1970
    status: int
    page_size: int
    max_mapnr: int
    cpus: int
    phys_base: int
    level: int
    notes: bytes
    vmcoreinfo_at: int  # offset in `notes`
    vmcoreinfo_size: int
    part: range | None = None  # frames of a split dump's file

    @property
    def sub_blocks(self) -> int:
        """Blocks of the sub header with the notes."""
        return -(-(SUB_HEADER.size + len(self.notes)) // self.page_size)

    @property
    def bitmaps_at(self) -> int:
        """The offset of the first bitmap; the second one is `bitmap_size` bytes after it."""
        return (1 + self.sub_blocks) * self.page_size

    @property
    def descriptors_at(self) -> int:
        """The offset of the page descriptors."""
        return self.bitmaps_at + 2 * bitmap_size(self.max_mapnr, self.page_size)


@dataclass(frozen=True, slots=True)
class SubHeader:
    """What the sub header of any version tells: offsets and sizes in bytes, (0, 0) for what that version has not."""

    part: range | None  # frames of a split dump's file: version 2
    vmcoreinfo: tuple[int, int]  # version 3
    notes: tuple[int, int]  # version 4
    max_mapnr: int | None  # version 6, whose frames have 64 bits; before, the header has them


def sub_header(data: bytes | memoryview, version: int) -> SubHeader:
    """The sub header of a dump of that header version, 1 to 6; what follows a version's members there means nothing."""
    fields = SUB_HEADER.unpack(data)
    part = None
    if fields[2] and version >= 2:
        part = range(*((fields[11], fields[12]) if version >= 6 else fields[3:5]))
    return SubHeader(
        part,
        (fields[5], fields[6]) if version >= 3 else (0, 0),
        (fields[7], fields[8]) if version >= 4 else (0, 0),
        fields[13] if version >= 6 else None,
    )


def bitmap_size(frames: int, page_size: int) -> int:
    """Bytes of a bitmap: a bit for each frame, whole blocks."""
    return -(-frames // (8 * page_size)) * page_size


def pack_header(fields: HeaderFields) -> bytes:
    """The first block."""
    return HEADER.pack(
        SIGNATURE,
        _VERSION,
        fields.utsname,
        fields.time,
        0,
        fields.status,
        fields.page_size,
        fields.sub_blocks,
        2 * bitmap_size(fields.max_mapnr, fields.page_size) // fields.page_size,
        min(fields.max_mapnr, _U32),
        0,
        0,
        0,
        0,
        fields.cpus,
    ).ljust(fields.page_size, b"\0")


def pack_sub_header(fields: HeaderFields) -> bytes:
    """The blocks after the first: the sub header and the notes."""
    notes_at = fields.page_size + SUB_HEADER.size
    part = fields.part
    start, end = (part.start, part.stop) if part else (0, 0)
    packed: bytes = SUB_HEADER.pack(
        fields.phys_base & _U64,
        fields.level,
        int(part is not None),
        start,
        end,
        notes_at + fields.vmcoreinfo_at if fields.vmcoreinfo_size else 0,
        fields.vmcoreinfo_size,
        notes_at if fields.notes else 0,
        len(fields.notes),
        0,
        0,
        start,
        end,
        fields.max_mapnr,
    )
    return (packed + fields.notes).ljust(fields.sub_blocks * fields.page_size, b"\0")
