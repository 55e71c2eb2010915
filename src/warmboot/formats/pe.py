"""PE: the sections of an EFI program (Microsoft's PE format; UAPI.5 puts a kernel and what belongs to it into them)."""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["Section", "certificate_table", "machine", "sections"]

_HEADER = struct.Struct("<4sHHIIIHH")  # signature, machine, number of sections, ..., optional header's size, flags
_SECTION = struct.Struct("<8sIIII")  # name, VirtualSize, VirtualAddress, SizeOfRawData, PointerToRawData
_SECTION_SIZE = 40  # bytes of a whole section header
_DIRECTORIES = {0x10B: 96, 0x20B: 112}  # PE32 and PE32+: where the optional header has its data directories
_CERTIFICATES = 4  # the directory of the attribute certificate table
_MOST = 96  # sections that Microsoft's loader takes


def _header(data: memoryview) -> tuple[int, int, int, int] | None:
    """The PE header's offset, the machine, the number of sections, the optional header's size; None for no PE file."""
    if data.nbytes < 0x40 or bytes(data[:2]) != b"MZ":
        return None
    at = int.from_bytes(data[0x3C:0x40], "little")
    if at + _HEADER.size > data.nbytes:
        return None
    signature, kind, count, _, _, _, optional, _ = _HEADER.unpack_from(data, at)
    return (at, kind, count, optional) if signature == b"PE\0\0" else None


def machine(data: memoryview) -> int | None:
    """The processor that the program is for: 0x8664 is x86-64. None for what is no PE file."""
    header = _header(data)
    return header and header[1]


def certificate_table(data: memoryview) -> tuple[int, int] | None:
    """Where the file's signatures are and how many bytes they have; None for what is not signed.

    Data directory 4 of the optional header names them, by an offset in the file (PE format, "The Attribute Certificate
    Table").
    """
    header = _header(data)
    if header is None:
        return None
    optional = header[0] + _HEADER.size
    kind = int.from_bytes(data[optional : optional + 2], "little")
    directories = _DIRECTORIES.get(kind)
    if directories is None:
        return None
    count = int.from_bytes(data[optional + directories - 4 : optional + directories], "little")
    entry = optional + directories + 8 * _CERTIFICATES
    if count <= _CERTIFICATES or entry + 8 > data.nbytes:
        return None
    offset, size = (int.from_bytes(data[at : at + 4], "little") for at in (entry, entry + 4))
    return (offset, size) if offset and size else None


class Section(NamedTuple):
    """A section's name, its bytes in the file, and how many there should be."""

    name: str
    data: memoryview
    size: int


def sections(data: memoryview) -> list[Section]:
    """The sections in the file's order; none of what is no PE file.

    Of a section's bytes those count that are loaded: VirtualSize without the padding to the file's alignment, as
    systemd-stub takes them.
    """
    header = _header(data)
    if header is None:
        return []
    at, _, count, optional = header
    found = []
    first = at + _HEADER.size + optional
    for each in range(first, first + min(count, _MOST) * _SECTION_SIZE, _SECTION_SIZE):
        if each + _SECTION_SIZE > data.nbytes:
            break
        name, virtual, _, raw, offset = _SECTION.unpack_from(data, each)
        size = min(virtual, raw) if virtual else raw
        found.append(Section(name.rstrip(b"\0").decode("ascii", "replace"), data[offset : offset + size], size))
    return found
