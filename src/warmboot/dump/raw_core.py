"""The memory of a machine as it is, without any headers: QEMU's memory-backend-file, or what `pmemsave` wrote.

Bytes of the file are physical addresses, but that machines with much memory leave a hole below 4 GiB: QEMU's q35 goes
on at 4 GiB after 2 GiB, its pc after 3 GiB (hw/i386/pc_q35.c, pc_piix.c). The kernel's `max_pfn` tells which it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from warmboot.dump import arch
from warmboot.dump.interface import DumpError, NoDumpError
from warmboot.dump.plain_file import PlainFile
from warmboot.dump.source import Mapped
from warmboot.dump.translated import read_virtual
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.dump.vmcoreinfo_search import search_vmcoreinfo
from warmboot.formats.ident import MACHINES
from warmboot.memmap.range_set import RangeSet
from warmboot.visible import visible

__all__ = ["RawCore"]

_SMALLEST = 1 << 20  # bytes
_LARGEST = 1 << 52
_PAGE = 4096
_HOLE_END = 1 << 32
_LOWER = (2 << 30, 3 << 30)  # bytes below the hole
_SMALLEST_WITH_HOLE = 0xB0000000
# What other large files begin with, and where: no memory of a PC does, whose first kilobyte has interrupt vectors.
_KNOWN = (
    *((0, each) for each in (b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh", b"\x04\x22\x4d\x18", b"PK\3\4")),
    *((0, each) for each in (b"QFI\xfb", b"KDMV", b"conectix", b"hsqs", b"SQLite format 3", b"%PDF-", b"LUKS\xba\xbe")),
    *((257, b"ustar"), (512, b"EFI PART"), (0x438, b"\x53\xef"), (0x8001, b"CD001"), (512, b"LABELONE")),
)


class RawCore:
    """Memory without headers. Raises DumpError where no kernel's VMCOREINFO is in it."""

    notes: bytes = b""
    noted: bool = False
    whole: bool = True  # nothing says more
    problems: Sequence[str] = ()
    left_out: RangeSet = RangeSet()
    cut_off: RangeSet = RangeSet()

    def __init__(self, path: Path) -> None:
        self._name = visible(str(path))
        self._file = PlainFile(path)
        self._size = self._file.size
        if not _SMALLEST <= self._size <= _LARGEST:
            raise self._no_dump()
        self._size -= self._size % _PAGE
        self._lower = self._size
        if _is_known(self._file.read(0, 16 * _PAGE)):
            raise self._no_dump()
        self.ranges: RangeSet = RangeSet([(0, self._size)])
        filled = RangeSet((start, min(stop, self._size)) for start, stop in self._file.filled() if start < self._size)
        for machine in MACHINES.values():
            self.machine: str = machine
            self.vmcoreinfo: Vmcoreinfo = search_vmcoreinfo(machine, filled, self.physical)
            if self.vmcoreinfo.lines:
                break
        else:
            raise self._no_dump()
        if self._size > _SMALLEST_WITH_HOLE:
            self._find_hole()

    def physical(self, address: int, size: int) -> bytes:
        """As Memory says."""
        parts = []
        while size:
            at, count = address, min(size, self._lower - address)
            if not 0 <= address < self._lower:
                at = address - _HOLE_END + self._lower
                count = min(size, self._size - at)
                if address < _HOLE_END or count <= 0:
                    raise DumpError(
                        f"{self._name}: physical address {address:#x} is not in the dump", hint="it is no memory"
                    )
            parts.append(self._file.read(at, count))
            address, size = address + count, size - count
        return b"".join(parts)

    def view(self, address: int, size: int) -> memoryview:
        """As Source says; a copy."""
        return memoryview(self.physical(address, size))

    def virtual(self, address: int, size: int) -> bytes:
        """As Memory says."""
        return read_virtual(self, self._name, address, size)

    @property
    def segments(self) -> Sequence[Mapped]:
        """As Source says. Raises DumpError where the kernel does not say."""
        text, base = arch.of(self.machine).kernel_map(self)
        return (*text, *(Mapped(each.start, base + each.start, len(each)) for each in self.ranges.runs()))

    def _find_hole(self) -> None:
        from warmboot.dump.kallsyms import read_kallsyms  # noqa: PLC0415 - for large machines alone

        for lower in (self._size, *_LOWER):
            self._lower = lower
            try:
                symbol = read_kallsyms(self).address("max_pfn")
                frames = int.from_bytes(self.virtual(symbol, 8), "little") if symbol is not None else 0
            except DumpError:
                continue
            if frames * _PAGE == (self._size if lower == self._size else _HOLE_END + self._size - lower):
                break
        else:
            self._lower = _LOWER[0]
        if self._lower < self._size:
            upper = _HOLE_END + self._size - self._lower
            self.ranges = RangeSet([(0, self._lower), (_HOLE_END, upper)])

    def _no_dump(self) -> NoDumpError:
        return NoDumpError(
            f"{self._name}: at offset 0: a 64-bit ELF core, a kdump or memory with a kernel's VMCOREINFO was expected",
            hint="give a dump",
        )


def _is_known(start: bytes) -> bool:
    """Whether a file is something else: compressed, an archive, a disk or its file system."""
    return any(start[at : at + len(each)] == each for at, each in _KNOWN)
