"""Multiboot 2 (Multiboot2 Specification 2.0): a header of tags."""

from __future__ import annotations

import struct

from warmboot.errors import InputError, RefusedError
from warmboot.formats.ident import is_elf
from warmboot.formats.reading import u16, u32
from warmboot.images.elf import ElfSegment, parse_elf
from warmboot.images.multiboot import MultibootImage, Relocation, address_segment, check_entry
from warmboot.images.probe import find_multiboot2, tags
from warmboot.images.video_mode import VideoMode

__all__ = ["parse_multiboot2"]

_HINT_CUT = "copy or download the file again"
_ARCHITECTURES = {4: "MIPS"}
_FROM_START = 0xFFFF_FFFF  # as load_addr: the file is loaded from its first byte on
_OPTIONAL = 1

# Types of tags, and the bytes that each has at least.
_REQUEST, _ADDRESS, _ENTRY, _CONSOLE, _FRAMEBUFFER, _MODULE_ALIGN, _BOOT_SERVICES = range(1, 8)
_ENTRY_EFI32, _ENTRY_EFI64, _RELOCATABLE = 8, 9, 10
_SIZES = {
    _REQUEST: 8,
    _ADDRESS: 24,
    _ENTRY: 12,
    _CONSOLE: 12,
    _FRAMEBUFFER: 20,
    _MODULE_ALIGN: 8,
    _BOOT_SERVICES: 8,
    _ENTRY_EFI32: 12,
    _ENTRY_EFI64: 12,
    _RELOCATABLE: 24,
}


def parse_multiboot2(data: memoryview, name: str, wrapping: tuple[str, ...] = ()) -> MultibootImage:
    """Read a multiboot 2 header, and where the image goes: by the header's address tag, else as ELF.

    Raises InputError for a header that contradicts itself or its file, RefusedError for one of another architecture
    and for tags that are required and that no specification describes.
    """
    header = find_multiboot2(data)
    assert header is not None
    architecture = u32(data, header + 4)
    if architecture:
        raise RefusedError(
            f"{name}: wrong architecture: a multiboot 2 image for"
            f" {_ARCHITECTURES.get(architecture, f'architecture {architecture}')}",
            hint="give an image for x86",
        )
    found, requests, optional = _read_tags(data, name, header)
    segments: tuple[ElfSegment, ...]
    if _ADDRESS in found:
        where = _words(data, found[_ADDRESS], 4)
        if where[1] == _FROM_START:
            where = (where[0], where[0] - header, *where[2:])
        segments, entry, bits, dynamic = (address_segment(data, name, header, *where),), -1, 32, False
    else:
        elf = parse_elf(data, name)
        segments, entry, bits, dynamic = elf.segments, elf.entry, elf.bits, elf.dynamic
    if _ENTRY in found:
        entry = u32(data, found[_ENTRY] + 8)
    if entry < 0:
        raise InputError(f"{name}: its multiboot 2 header has an address tag, but no entry address", hint=_HINT_CUT)
    check_entry(entry, segments, name)
    framebuffer = found.get(_FRAMEBUFFER)
    relocatable = found.get(_RELOCATABLE)
    return MultibootImage(
        name=name,
        file=data,
        protocol=2,
        entry=entry,
        segments=segments,
        bits=bits,
        dynamic=dynamic,
        wants_memory_info=True,  # always given
        wants_aligned_modules=_MODULE_ALIGN in found,
        video_mode=None if framebuffer is None else _video_mode(data, framebuffer),
        relocation=None if relocatable is None else _relocation(data, relocatable, name),
        requests=requests,
        optional_requests=optional,
        console_flags=u32(data, found[_CONSOLE] + 8) if _CONSOLE in found else None,
        wants_boot_services=_BOOT_SERVICES in found,
        wrapping=wrapping,
    )


def _read_tags(data: memoryview, name: str, header: int) -> tuple[dict[int, int], tuple[int, ...], tuple[int, ...]]:
    """The offset of each tag by its type, the information that is required, and that which is only welcome."""
    found: dict[int, int] = {}
    requests: list[int] = []
    optional: list[int] = []
    end = header + 16
    for at in tags(data, header):
        kind, flags, size = u16(data, at), u16(data, at + 2), u32(data, at + 4)
        end = at + -(-size // 8) * 8
        if kind not in _SIZES:
            if not flags & _OPTIONAL:
                raise RefusedError(
                    f"{name}: its multiboot 2 header needs a feature of type {kind}, which is not known",
                    hint="load it as plain ELF by its type, if it can do without" if is_elf(data) else _HINT_CUT,
                )
            continue
        if size < _SIZES[kind]:
            raise InputError(f"{name}: byte {at:#x}: a multiboot 2 tag of {size} bytes is too short", hint=_HINT_CUT)
        found[kind] = at
        if kind == _REQUEST:
            (optional if flags & _OPTIONAL else requests).extend(_words(data, at, (size - 8) // 4))
    if u16(data, end) or end + 8 > min(header + u32(data, header + 8), data.nbytes):
        raise InputError(f"{name}: byte {end:#x}: the tags of its multiboot 2 header do not end", hint=_HINT_CUT)
    return found, tuple(requests), tuple(optional)


def _words(data: memoryview, tag: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}I", data, tag + 8)


def _video_mode(data: memoryview, tag: int) -> VideoMode:
    width, height, depth = _words(data, tag, 3)
    return VideoMode(width, height, depth)


def _relocation(data: memoryview, tag: int, name: str) -> Relocation:
    min_addr, max_addr, align, preference = _words(data, tag, 4)
    if min_addr > max_addr or align & (align - 1):
        raise InputError(
            f"{name}: byte {tag:#x}: relocatable to {min_addr:#x}-{max_addr:#x} by {align:#x}, which is impossible",
            hint=_HINT_CUT,
        )
    return Relocation(min_addr, max_addr, max(align, 1), preference)
