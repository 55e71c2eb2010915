"""PE: the sections of an EFI program (Microsoft's PE format; UAPI.5 puts a kernel and what belongs to it into them)."""

from __future__ import annotations

import struct

from warmboot.formats.ident import is_mz
from warmboot.formats.reading import u16, u32
from warmboot.records import dataclass

__all__ = ["I386", "X86_64", "Section", "certificate_table", "extent", "machine", "sections"]

I386, X86_64 = 0x14C, 0x8664  # IMAGE_FILE_MACHINE_*

_PE_OFFSET = 0x3C  # in the DOS header: where the PE header is
_HEADER = struct.Struct("<4sHHIIIHH")  # signature, machine, number of sections, ..., optional header's size, flags
_SECTION = struct.Struct("<8sIIII16x")  # name, VirtualSize, VirtualAddress, SizeOfRawData, PointerToRawData
_DIRECTORIES = {0x10B: 96, 0x20B: 112}  # where the data directories begin in the optional header of PE32 and of PE32+
_DIRECTORY_SIZE, _CERTIFICATES = 8, 4


@dataclass(frozen=True, slots=True)
class _Header:
    """`optional` is the offset of the optional header, `table` that of the section table."""

    machine: int
    count: int
    optional: int
    table: int


def _header(data: memoryview) -> _Header | None:
    """None for no PE file."""
    at = u32(data, _PE_OFFSET) if is_mz(data) and data.nbytes >= _PE_OFFSET + 4 else data.nbytes
    if at + _HEADER.size > data.nbytes:
        return None
    signature, kind, count, _, _, _, optional, _ = _HEADER.unpack_from(data, at)
    if signature != b"PE\0\0":
        return None
    return _Header(kind, count, at + _HEADER.size, at + _HEADER.size + optional)


def machine(data: memoryview) -> int | None:
    """The processor that the program is for. None for what is no PE file."""
    header = _header(data)
    return header.machine if header else None


@dataclass(frozen=True, slots=True)
class Section:
    """A section's name, its bytes in the file, and how many there should be."""

    name: str
    data: memoryview
    size: int


def sections(data: memoryview) -> list[Section]:
    """The sections in the file's order; none of what is no PE file.

    Of a section's bytes those count that are loaded: VirtualSize without the padding to the file's alignment, as
    systemd-stub takes them.
    """
    found = []
    for name, virtual, raw, offset in _rows(data):
        size = min(virtual, raw) if virtual else raw
        found.append(Section(name.rstrip(b"\0").decode("ascii", "replace"), data[offset : offset + size], size))
    return found


def extent(head: memoryview) -> int | None:
    """The bytes of the file that sections lie in, by its first bytes; None where those do not have all the headers."""
    header = _header(head)
    if header is None or header.table + header.count * _SECTION.size > head.nbytes:
        return None
    return max((offset + raw for _, _, raw, offset in _rows(head)), default=0)


def certificate_table(data: memoryview) -> tuple[int, int] | None:
    """Offset and bytes of the attribute certificates, by which a program is signed; None where it has none."""
    header = _header(data)
    directories = _DIRECTORIES.get(u16(data, header.optional)) if header else None
    if header is None or directories is None:
        return None
    at = header.optional + directories
    entry = at + _CERTIFICATES * _DIRECTORY_SIZE
    if u32(data, at - 4) <= _CERTIFICATES or not u32(data, entry + 4):
        return None
    return u32(data, entry), u32(data, entry + 4)


def _rows(data: memoryview) -> list[tuple[bytes, int, int, int]]:
    """Name, VirtualSize, SizeOfRawData and PointerToRawData of each section header that the file has whole."""
    header = _header(data)
    if header is None:
        return []
    table = data[header.table : header.table + header.count * _SECTION.size]
    whole = table[: table.nbytes // _SECTION.size * _SECTION.size]
    return [(name, virtual, raw, offset) for name, virtual, _, raw, offset in _SECTION.iter_unpack(whole)]
