"""What a dump is made of: memory, and what else its headers tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from warmboot.dump.interface import DumpError, Memory
from warmboot.dump.vmcoreinfo import Vmcoreinfo, parse_vmcoreinfo
from warmboot.formats.elf import notes
from warmboot.memmap.range_set import RangeSet

__all__ = ["NT_PRSTATUS", "Mapped", "Source", "note_facts", "utsname", "vmcoreinfo_of"]

NT_PRSTATUS = 1
_UTSNAME = 390  # bytes of struct new_utsname: six names of 65


@dataclass(frozen=True, slots=True)
class Mapped:
    """Memory as an ELF core names it: `size` bytes at a physical and a virtual address."""

    physical: int
    virtual: int
    size: int


class Source(Memory, Protocol):
    """Memory to be saved."""

    @property
    def notes(self) -> bytes:
        """The notes of the ELF core: registers of each processor, VMCOREINFO."""

    @property
    def segments(self) -> Sequence[Mapped]:
        """The pieces of memory with their virtual addresses, as the source has them."""

    @property
    def noted(self) -> bool:
        """Whether VMCOREINFO is in the headers; else it was searched for in memory."""

    @property
    def left_out(self) -> RangeSet:
        """The physical addresses of memory that the dump leaves out."""

    @property
    def cut_off(self) -> RangeSet:
        """The physical addresses whose bytes would be beyond the end of the file."""

    @property
    def whole(self) -> bool:
        """Whether the writer got to its end, as far as the file says."""

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the headers, or missing."""

    def view(self, address: int, size: int) -> memoryview:
        """Bytes at a physical address, without a copy where that can be. Raises DumpError."""


def note_facts(data: bytes) -> tuple[int, int, int]:
    """How many processors have registers in the notes, and where VMCOREINFO's text is in them: offset, size."""
    processors, at, size = 0, 0, 0
    for name, kind, text in notes(memoryview(data)):
        if name.rstrip(b"\0") == b"VMCOREINFO":
            at, size = data.find(text), len(text)
        elif kind == NT_PRSTATUS and name.rstrip(b"\0") == b"CORE":
            processors += 1
    return processors, at, size


def vmcoreinfo_of(data: bytes) -> Vmcoreinfo:
    """VMCOREINFO in the notes; empty where they have none."""
    _, at, size = note_facts(data)
    return parse_vmcoreinfo(data[at : at + size])


def utsname(memory: Memory) -> bytes:
    """struct new_utsname of the kernel, with the release alone where it cannot be found."""
    info = memory.vmcoreinfo
    address, offset = info.symbol("init_uts_ns"), info.offset("uts_namespace.name")
    # 5.11 and later tell the offset; before, a reference count of 4 bytes is in front.
    for at in (offset,) if offset is not None else (4, 0):
        if address:
            try:
                names = memory.virtual(address + at, _UTSNAME)
            except DumpError:
                continue
            if names.startswith(b"Linux\0"):
                return names
    made = [b"Linux", b"", info.release.encode()[:64], b"", memory.machine.encode()[:64], b""]
    return b"".join(each.ljust(65, b"\0") for each in made)
