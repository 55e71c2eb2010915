"""ELF executables: a vmlinux, or any program that is loaded as its program headers say (gABI, elf(5))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.formats.elf import (
    EI_CLASS,
    ELF_CLASSES,
    ET_DYN,
    ET_EXEC,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    Header,
    ProgramHeader,
    header,
    notes,
    program_headers,
)
from warmboot.formats.ident import EM_X86_64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.figures import ElfFigures, ImageSegment
    from warmboot.images.multiboot import MultibootImage

__all__ = ["ElfImage", "ElfSegment", "elf_notes", "loaded_figures", "parse_elf", "physical_entry"]

_TYPES = {1: "an object file", 4: "a core dump"}
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
        """The physical address after its last byte."""
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

    def figures(self) -> ElfFigures:
        """For a person or a script."""
        from warmboot.images.figures import ElfFigures  # noqa: PLC0415

        loaded = loaded_figures(self)
        return ElfFigures(self.name, self.kind, self.wrapping, "ELF", *loaded, boot_notes=self.boot_notes)

    @property
    def start(self) -> int:
        """The lowest physical address that it takes."""
        return min(each.paddr for each in self.segments)

    @property
    def end(self) -> int:
        """The physical address after its last segment."""
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


def loaded_figures(
    image: ElfImage | MultibootImage,
) -> tuple[str, int, int, bool, int, tuple[ImageSegment, ...]]:
    """What the figures of all images made of segments begin with."""
    from warmboot.images.figures import ImageSegment  # noqa: PLC0415

    size = sum(each.data.nbytes for each in image.segments)
    segments = tuple(ImageSegment(each.paddr, each.vaddr, each.data.nbytes, each.memsz) for each in image.segments)
    return image.version, image.bits, image.entry, image.dynamic, size, segments


def parse_elf(data: memoryview, name: str, wrapping: tuple[str, ...] = ()) -> ElfImage:
    """Read the program headers of a little-endian ELF file for x86.

    Raises InputError where they are cut short or contradict themselves, RefusedError for a program that only an
    operating system can start.
    """
    ehdr = header(data)
    if ehdr is None:
        raise InputError(f"{name}: {_damage(data)}", hint=_HINT_CUT)
    if ehdr.type not in (ET_EXEC, ET_DYN):
        raise RefusedError(f"{name}: ELF, but {_TYPES.get(ehdr.type, 'no program')}", hint="give a vmlinux or vmlinuz")
    segments = []
    for number, each in enumerate(_program_headers(data, ehdr, name)):
        if each.type == PT_INTERP:
            raise RefusedError(
                f"{name}: a program of an operating system, no kernel: it asks for an interpreter",
                hint="give a vmlinux or vmlinuz",
            )
        if each.type != PT_LOAD or not each.memsz:
            continue
        end = each.offset + min(each.filesz, each.memsz)
        if end > data.nbytes:
            raise InputError(
                f"{name}: cut short: program header {number} wants bytes {each.offset:#x} to {end:#x} of a file"
                f" of {data.nbytes:#x}",
                hint=_HINT_CUT,
            )
        if each.paddr + each.memsz > 1 << 64:
            raise InputError(f"{name}: program header {number} ends beyond the last address", hint=_HINT_CUT)
        segments.append(ElfSegment(data[each.offset : end], each.paddr, each.vaddr, each.memsz, max(each.align, 1)))
    if not segments:
        raise InputError(f"{name}: ELF, but nothing in it is to be loaded", hint="give a vmlinux or vmlinuz")
    return ElfImage(
        name=name,
        file=data,
        bits=64 if ehdr.machine == EM_X86_64 else 32,
        entry=physical_entry(ehdr.entry, segments, name),
        segments=tuple(segments),
        dynamic=ehdr.type == ET_DYN,
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


def _program_headers(data: memoryview, ehdr: Header, name: str) -> Iterator[ProgramHeader]:
    if ehdr.phnum and ehdr.phentsize != ehdr.phdr_size:
        raise InputError(
            f"{name}: program headers of {ehdr.phentsize} bytes instead of {ehdr.phdr_size}", hint=_HINT_CUT
        )
    if ehdr.phdrs_end > data.nbytes:
        raise InputError(f"{name}: cut short within the program headers", hint=_HINT_CUT)
    if ehdr.phnum > _MOST_HEADERS:
        raise InputError(
            f"{name}: {ehdr.phnum} program headers: no kernel has more than {_MOST_HEADERS}", hint=_HINT_CUT
        )
    return program_headers(data[ehdr.phoff : ehdr.phdrs_end] if ehdr.phnum else b"", ehdr.bits)


def elf_notes(data: memoryview) -> Iterator[tuple[str, int, bytes]]:
    """Name, type and descriptor of the notes in PT_NOTE of a file that `parse_elf` accepts; stops at a damaged one."""
    ehdr = header(data)
    for each in _program_headers(data, ehdr, "") if ehdr else ():
        if each.type == PT_NOTE:
            for name, kind, desc in notes(data[each.offset : each.offset + each.filesz]):
                yield _text(name), kind, desc


def _damage(data: memoryview) -> str:
    kind = data[EI_CLASS]
    return "cut short within the ELF header" if kind in ELF_CLASSES else f"a damaged ELF file: class {kind}"


def _text(data: bytes) -> str:
    text = data.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)
