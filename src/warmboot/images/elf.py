"""ELF executables: a vmlinux, or any program that is loaded as its program headers say (gABI, elf(5))."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.images.probe import EM_X86_64, elf_machine, u16, u32

__all__ = ["ElfImage", "ElfSegment", "elf_notes", "parse_elf", "physical_entry"]

_ET_EXEC, _ET_DYN = 2, 3
_TYPES = {1: "an object file", 4: "a core dump"}
_PT_LOAD, _PT_INTERP, _PT_NOTE = 1, 3, 4
# Ehdr from e_entry on: e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize, e_phnum.
_EHDR = {1: struct.Struct("<IIIIHHH"), 2: struct.Struct("<QQQIHHH")}
_E_ENTRY = 24
_PHDR32 = struct.Struct("<IIIIIIII")  # type, offset, vaddr, paddr, filesz, memsz, flags, align
_PHDR64 = struct.Struct("<IIQQQQQQ")  # type, flags, offset, vaddr, paddr, filesz, memsz, align
_EIN_PROGRAM_NAME, _EIN_PROGRAM_VERSION = 1, 2  # notes named "ELFBoot"
_MOST_HEADERS = 4096  # vmlinux has five or so; kexec_load takes 16 segments
_HINT_CUT = "copy or download the file again"


@dataclass(frozen=True, slots=True)
class ElfSegment:
    """A PT_LOAD that takes memory. Addresses need not be page-aligned; `data` is what the file has of `memsz` bytes."""

    data: memoryview
    paddr: int  # physical
    vaddr: int  # virtual, where the program itself expects to be
    memsz: int
    align: int = 1

    @property
    def end(self) -> int:
        """The physical address behind its last byte."""
        return self.paddr + self.memsz


@dataclass(frozen=True, slots=True)
class ElfImage:
    """An ELF executable as its file describes it."""

    name: str
    file: memoryview  # the whole file, unpacked
    bits: int  # the mode it is entered in, as its e_machine says
    entry: int  # physical
    segments: tuple[ElfSegment, ...]  # in the file's order; they may overlap
    dynamic: bool  # ET_DYN: may be moved as a whole
    wrapping: tuple[str, ...] = ()  # what it was unpacked from, the outermost first

    @property
    def kind(self) -> str:
        """kexec-tools' name of the format."""
        return "elf-x86_64" if self.bits == 64 else "elf-x86"

    @property
    def start(self) -> int:
        """The lowest physical address that it takes."""
        return min(each.paddr for each in self.segments)

    @property
    def end(self) -> int:
        """The physical address behind all that it takes."""
        return max(each.end for each in self.segments)

    @property
    def boot_notes(self) -> tuple[str, str] | None:
        """Name and version that the program gives itself in notes called "ELFBoot"."""
        found = {kind: desc for name, kind, desc in elf_notes(self.file) if name == "ELFBoot"}
        if not found:
            return None
        name, version = (_text(found.get(each, b"")) for each in (_EIN_PROGRAM_NAME, _EIN_PROGRAM_VERSION))
        return name, version

    @property
    def version(self) -> str:
        """The version in Linux's banner, searched for in the whole file; "unknown" without one."""
        import re  # noqa: PLC0415 - for people alone

        found = re.search(rb"Linux version (\d[ -~]{0,250})", self.file)
        return str(found[1], "ascii") if found else "unknown"


def parse_elf(data: memoryview, name: str, wrapping: tuple[str, ...] = ()) -> ElfImage:
    """Read the program headers of a little-endian ELF file for x86.

    Raises InputError where they are cut short or contradict themselves, RefusedError for a program that only an
    operating system can start.
    """
    kind = data[4]
    if kind not in _EHDR:
        raise InputError(f"{name}: a damaged ELF file: class {kind}", hint=_HINT_CUT)
    if data.nbytes < _E_ENTRY + _EHDR[kind].size:
        raise InputError(f"{name}: cut short within the ELF header", hint=_HINT_CUT)
    e_type = u16(data, 16)
    if e_type not in (_ET_EXEC, _ET_DYN):
        raise RefusedError(f"{name}: ELF, but {_TYPES.get(e_type, 'no program')}", hint="give a vmlinux or vmlinuz")
    segments = []
    for number, (p_type, offset, vaddr, paddr, filesz, memsz, align) in enumerate(_program_headers(data, name)):
        if p_type == _PT_INTERP:
            raise RefusedError(
                f"{name}: a program of an operating system, no kernel: it asks for an interpreter",
                hint="give a vmlinux or vmlinuz",
            )
        if p_type != _PT_LOAD or not memsz:
            continue
        size = min(filesz, memsz)
        if offset + size > data.nbytes:
            raise InputError(
                f"{name}: cut short: program header {number} wants bytes {offset:#x} to {offset + size:#x} of a file"
                f" of {data.nbytes:#x}",
                hint=_HINT_CUT,
            )
        if paddr + memsz > 1 << 64:
            raise InputError(f"{name}: program header {number} ends beyond the last address", hint=_HINT_CUT)
        segments.append(ElfSegment(data[offset : offset + size], paddr, vaddr, memsz, max(align, 1)))
    if not segments:
        raise InputError(f"{name}: ELF, but nothing in it is to be loaded", hint="give a vmlinux or vmlinuz")
    return ElfImage(
        name=name,
        file=data,
        bits=64 if elf_machine(data) == EM_X86_64 else 32,
        entry=physical_entry(_EHDR[kind].unpack_from(data, _E_ENTRY)[0], segments, name),
        segments=tuple(segments),
        dynamic=e_type == _ET_DYN,
        wrapping=wrapping,
    )


def physical_entry(entry: int, segments: list[ElfSegment], name: str) -> int:
    """`entry` as a physical address: as it is if it lies in a segment, else as the virtual address that it then is.

    Linux gives the physical one, as kexec-tools expects; many other kernels give the virtual one, as GRUB allows.
    Raises InputError where it is neither.
    """
    if any(each.paddr <= entry < each.end for each in segments):
        return entry
    for each in segments:
        if each.vaddr <= entry < each.vaddr + each.memsz:
            return entry - each.vaddr + each.paddr
    raise InputError(f"{name}: the entry {entry:#x} lies in none of its segments", hint=_HINT_CUT)


def _program_headers(data: memoryview, name: str) -> Iterator[tuple[int, int, int, int, int, int, int]]:
    """p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align of each program header."""
    kind = data[4]
    _, first, _, _, _, size, count = _EHDR[kind].unpack_from(data, _E_ENTRY)
    form = _PHDR64 if kind == 2 else _PHDR32
    if count and size != form.size:
        raise InputError(f"{name}: program headers of {size} bytes instead of {form.size}", hint=_HINT_CUT)
    if first + count * size > data.nbytes:
        raise InputError(f"{name}: cut short within the program headers", hint=_HINT_CUT)
    if count > _MOST_HEADERS:
        raise InputError(f"{name}: {count} program headers: no kernel has more than {_MOST_HEADERS}", hint=_HINT_CUT)
    for at in range(first, first + count * size, size or 1):
        if kind == 2:
            p_type, _, offset, vaddr, paddr, filesz, memsz, align = _PHDR64.unpack_from(data, at)
        else:
            p_type, offset, vaddr, paddr, filesz, memsz, _, align = _PHDR32.unpack_from(data, at)
        yield p_type, offset, vaddr, paddr, filesz, memsz, align


def elf_notes(data: memoryview) -> Iterator[tuple[str, int, bytes]]:
    """Name, type and descriptor of the notes in PT_NOTE of a file that `parse_elf` accepts; stops at a damaged one."""
    for p_type, offset, _, _, filesz, _, _ in _program_headers(data, ""):
        at, end = offset, min(offset + filesz, data.nbytes)
        while p_type == _PT_NOTE and at + 12 <= end:
            namesz, descsz, kind = u32(data, at), u32(data, at + 4), u32(data, at + 8)
            desc = at + 12 + -(-namesz // 4) * 4
            if desc + descsz > end:
                break
            yield _text(bytes(data[at + 12 : at + 12 + namesz])), kind, bytes(data[desc : desc + descsz])
            at = desc + -(-descsz // 4) * 4


def _text(data: bytes) -> str:
    text = data.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)
