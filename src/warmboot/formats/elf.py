"""ELF: headers, program headers and notes (System V gABI; include/uapi/linux/elf.h), read and written. Little-endian.

Program headers of both classes read alike, with the members of the 64-bit one; only that one is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from warmboot.formats.ident import EM_X86_64
from warmboot.formats.reading import u32
from warmboot.records import dataclass

__all__ = [
    "EHDR_SIZE",
    "EI_CLASS",
    "ELF_CLASSES",
    "ET_CORE",
    "ET_DYN",
    "ET_EXEC",
    "NOTE_HEADER_SIZE",
    "PF_R",
    "PF_RWX",
    "PHDR_SIZE",
    "PN_XNUM",
    "PT_INTERP",
    "PT_LOAD",
    "PT_NOTE",
    "Header",
    "ProgramHeader",
    "header",
    "notes",
    "pack_headers",
    "pack_note",
    "program_headers",
]

EI_CLASS = 4  # where e_ident tells the class
ELF_CLASSES = (1, 2)  # of 32 and 64 bits
ET_EXEC, ET_DYN, ET_CORE = 2, 3, 4
PT_LOAD, PT_INTERP, PT_NOTE = 1, 3, 4
PF_R, PF_RWX = 4, 7
PN_XNUM = 0xFFFF  # from there on a section header holds the number of program headers, which Linux ignores

_ELFCLASS32, _ELFCLASS64 = ELF_CLASSES
_IDENT = b"\x7fELF\x02\x01\x01"  # ELFCLASS64, ELFDATA2LSB, EV_CURRENT
_EV_CURRENT = 1
# e_ident, e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize, e_phnum,
# e_shentsize, e_shnum, e_shstrndx
_EHDR = {_ELFCLASS32: struct.Struct("<16sHHIIIIIHHHHHH"), _ELFCLASS64: struct.Struct("<16sHHIQQQIHHHHHH")}
_PHDR32 = struct.Struct("<IIIIIIII")  # type, offset, vaddr, paddr, filesz, memsz, flags, align
_PHDR64 = struct.Struct("<IIQQQQQQ")  # type, flags, offset, vaddr, paddr, filesz, memsz, align
_NHDR = struct.Struct("<III")  # n_namesz, n_descsz, n_type
NOTE_HEADER_SIZE = _NHDR.size  # bytes
EHDR_SIZE, PHDR_SIZE = _EHDR[_ELFCLASS64].size, _PHDR64.size  # bytes, of the 64-bit class


@dataclass(frozen=True, slots=True)
class Header:
    """The header, without what only section tables need. `bits` is the file's class, not its machine's."""

    bits: int
    type: int
    machine: int
    entry: int
    phoff: int
    phentsize: int
    phnum: int

    @property
    def phdr_size(self) -> int:
        """The bytes that a program header of this class has."""
        return _PHDR64.size if self.bits == 64 else _PHDR32.size

    @property
    def phdrs_end(self) -> int:
        """The offset after the program headers."""
        return self.phoff + self.phnum * self.phentsize


@dataclass(frozen=True, slots=True)
class ProgramHeader:
    """A program header, in the order of the 64-bit class."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    def pack(self) -> bytes:
        """The bytes of the 64-bit class."""
        where = (self.offset, self.vaddr, self.paddr, self.filesz, self.memsz, self.align)
        return _PHDR64.pack(self.type, self.flags, *where)


def header(data: bytes | memoryview) -> Header | None:
    """The header of an ELF file; None where it is cut short, or of no class that there is."""
    form = _EHDR.get(data[EI_CLASS]) if len(data) > EI_CLASS else None
    if form is None or len(data) < form.size:
        return None
    _, kind, machine, _, entry, phoff, _, _, _, phentsize, phnum, *_ = form.unpack_from(data)
    return Header(64 if form.size == EHDR_SIZE else 32, kind, machine, entry, phoff, phentsize, phnum)


def program_headers(table: bytes | memoryview, bits: int) -> Iterator[ProgramHeader]:
    """The program headers of a table, which has whole ones of that class."""
    if bits == 64:
        for row in _PHDR64.iter_unpack(table):
            yield ProgramHeader(*row)
        return
    for kind, offset, vaddr, paddr, filesz, memsz, flags, align in _PHDR32.iter_unpack(table):
        yield ProgramHeader(kind, flags, offset, vaddr, paddr, filesz, memsz, align)


def notes(data: memoryview) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, type and descriptor of each note in the bytes of a PT_NOTE; stops at a damaged one, and at one without a
    name, which ends the notes of a processor (fs/proc/vmcore.c)."""
    at = 0
    while at + _NHDR.size <= data.nbytes:
        namesz, descsz, kind = u32(data, at), u32(data, at + 4), u32(data, at + 8)
        if not namesz:
            break
        name = at + _NHDR.size
        desc = name + _padded(namesz)
        if desc + descsz > data.nbytes:
            break
        yield bytes(data[name : name + namesz]), kind, bytes(data[desc : desc + descsz])
        at = desc + _padded(descsz)


def pack_note(name: bytes, kind: int, desc: bytes) -> bytes:
    """A note; `name` has its final zero."""
    return _NHDR.pack(len(name), len(desc), kind) + b"".join(
        part.ljust(_padded(len(part)), b"\0") for part in (name, desc)
    )


def pack_headers(kind: int, headers: Sequence[ProgramHeader], *, entry: int = 0) -> bytes:
    """The header of an x86-64 file, and the program headers right after it."""
    sizes = (EHDR_SIZE, PHDR_SIZE, len(headers), 0, 0, 0)
    ehdr = _EHDR[_ELFCLASS64].pack(_IDENT, kind, EM_X86_64, _EV_CURRENT, entry, EHDR_SIZE, 0, 0, *sizes)
    return ehdr + b"".join(each.pack() for each in headers)


def _padded(size: int) -> int:
    return -(-size // 4) * 4
