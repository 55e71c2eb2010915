"""The multiboot 1 information (Multiboot Specification 0.6.96, section 3.3)."""

from __future__ import annotations

import struct

from warmboot.placement.arch.x86_64.multiboot_info import (
    LOADER_NAME,
    TEXT_COLUMNS,
    TEXT_ROWS,
    BootInformation,
    memory_type,
)

__all__ = ["information"]

_SIZE = 116  # bytes of the structure with its framebuffer fields
_MEMORY, _CMDLINE, _MODS, _MMAP, _LOADER_NAME, _FRAMEBUFFER = 1, 1 << 2, 1 << 3, 1 << 6, 1 << 9, 1 << 12
_MODULE = struct.Struct("<IIIxxxx")  # mod_start, mod_end, string
_MMAP_ENTRY = struct.Struct("<IQQI")  # size of what follows, base_addr, length, type
_RGB, _EGA_TEXT = 1, 2


def information(facts: BootInformation, address: int) -> bytes:
    """The structure and all that it points to, as it lies at physical `address`, below 4 GiB."""
    tables = bytearray()

    def put(data: bytes) -> int:
        tables.extend(bytes(-len(tables) % 4))
        tables.extend(data)
        return address + _SIZE + len(tables) - len(data)

    flags = _MEMORY | _CMDLINE | _MMAP | _LOADER_NAME
    page = bytearray(_SIZE)
    mmap = b"".join(
        _MMAP_ENTRY.pack(_MMAP_ENTRY.size - 4, each.range.start, each.range.size, memory_type(each))
        for each in facts.e820
    )
    struct.pack_into("<II", page, 4, facts.mem_lower, facts.mem_upper)
    struct.pack_into("<I", page, 16, put(facts.command_line + b"\0"))
    struct.pack_into("<II", page, 44, len(mmap), put(mmap))
    struct.pack_into("<I", page, 64, put(LOADER_NAME + b"\0"))
    if facts.modules:
        flags |= _MODS
        strings = [put(each.command_line + b"\0") for each in facts.modules]
        modules = b"".join(
            _MODULE.pack(each.start, each.end, string) for each, string in zip(facts.modules, strings, strict=True)
        )
        struct.pack_into("<II", page, 20, len(facts.modules), put(modules))
    if facts.text_at or facts.frame_buffer is not None:
        flags |= _FRAMEBUFFER
        page[88:_SIZE] = _framebuffer(facts).ljust(_SIZE - 88, b"\0")
    struct.pack_into("<I", page, 0, flags)
    return bytes(page + tables)


def _framebuffer(facts: BootInformation) -> bytes:
    """framebuffer_addr, pitch, width, height, bpp, type and colours."""
    form = struct.Struct("<QIIIBB")
    screen = facts.frame_buffer
    if facts.text_at or screen is None:
        return form.pack(facts.text_at, 2 * TEXT_COLUMNS, TEXT_COLUMNS, TEXT_ROWS, 16, _EGA_TEXT)
    geometry = screen.pitch, screen.width, screen.height, screen.bits_per_pixel
    return form.pack(screen.address, *geometry, _RGB) + bytes([*screen.red, *screen.green, *screen.blue])
