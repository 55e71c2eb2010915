"""The multiboot 2 information (Multiboot2 Specification 2.0, section 3.6): tags, each at a multiple of 8."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from warmboot.placement.arch.x86_64.multiboot_info import (
    LOADER_NAME,
    TEXT_COLUMNS,
    TEXT_ROWS,
    BootInformation,
    memory_type,
)

__all__ = ["TagType", "information"]

_TAG = struct.Struct("<II")  # type, size without the padding after it
_MMAP_ENTRY = struct.Struct("<QQIxxxx")
_FRAMEBUFFER = struct.Struct("<QIIIBBxx")  # addr, pitch, width, height, bpp, type
_RGB, _EGA_TEXT = 1, 2
_RSDP_V1_SIZE = 20  # bytes; from ACPI 2.0 on it has 36


class TagType(IntEnum):
    """The tags that are given."""

    END = 0
    CMDLINE = 1
    BOOT_LOADER_NAME = 2
    MODULE = 3
    BASIC_MEMINFO = 4
    MMAP = 6
    FRAMEBUFFER = 8
    EFI64 = 12
    ACPI_OLD = 14
    ACPI_NEW = 15
    LOAD_BASE_ADDR = 21


def information(facts: BootInformation, address: int = 0) -> bytes:
    """The tags as they lie in memory; their own `address` is in none of them."""
    tags = b"".join(
        (_TAG.pack(kind, _TAG.size + len(data)) + data).ljust(-(-(_TAG.size + len(data)) // 8) * 8, b"\0")
        for kind, data in _tags(facts)
    )
    return struct.pack("<II", 8 + len(tags), 0) + tags


def _tags(facts: BootInformation) -> Iterator[tuple[TagType, bytes]]:
    yield TagType.CMDLINE, facts.command_line + b"\0"
    yield TagType.BOOT_LOADER_NAME, LOADER_NAME + b"\0"
    for each in facts.modules:
        yield TagType.MODULE, struct.pack("<II", each.start, each.end) + each.command_line + b"\0"
    yield TagType.BASIC_MEMINFO, struct.pack("<II", facts.mem_lower, facts.mem_upper)
    entries = (_MMAP_ENTRY.pack(each.range.start, each.range.size, memory_type(each)) for each in facts.e820)
    yield TagType.MMAP, struct.pack("<II", _MMAP_ENTRY.size, 0) + b"".join(entries)
    screen = facts.frame_buffer
    if facts.text_at:
        text = facts.text_at, 2 * TEXT_COLUMNS, TEXT_COLUMNS, TEXT_ROWS, 16
        yield TagType.FRAMEBUFFER, _FRAMEBUFFER.pack(*text, _EGA_TEXT)
    elif screen is not None:
        geometry = screen.address, screen.pitch, screen.width, screen.height, screen.bits_per_pixel
        colours = bytes([*screen.red, *screen.green, *screen.blue])
        yield TagType.FRAMEBUFFER, _FRAMEBUFFER.pack(*geometry, _RGB) + colours
    if facts.efi_systab:
        yield TagType.EFI64, struct.pack("<Q", facts.efi_systab)
    if facts.rsdp:
        yield (TagType.ACPI_NEW if len(facts.rsdp) > _RSDP_V1_SIZE else TagType.ACPI_OLD), facts.rsdp
    if facts.load_base is not None:
        yield TagType.LOAD_BASE_ADDR, struct.pack("<I", facts.load_base)
    yield TagType.END, b""
