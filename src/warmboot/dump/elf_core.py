"""ELF cores of whole machines, /proc/vmcore above all: mapped a window at a time, read where mapping is refused."""

from __future__ import annotations

import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError, NoDumpError
from warmboot.dump.layers import Layers
from warmboot.dump.open_file import open_file
from warmboot.dump.source import Mapped, vmcoreinfo_of
from warmboot.dump.translated import read_virtual
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.dump.vmcoreinfo_search import search_vmcoreinfo
from warmboot.formats.elf import EHDR_SIZE, ET_CORE, PT_LOAD, PT_NOTE, ProgramHeader, header, program_headers
from warmboot.formats.ident import MACHINES
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, merge, subtract
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.flat_file import FlatFile

__all__ = ["ElfCore"]

_WINDOW = 4 << 20  # bytes
_WINDOWS = 4  # that stay mapped
_MOST_NOTES = 16 << 20  # bytes: 8,192 processors have 3 MiB
_MOST_PHDRS = 65535
_CUT_OFF = "the dump is cut off; what it has can be read"
_MOST_MEMORY = 1 << 52  # bytes: no physical address is beyond; /proc/kcore has segments without one


def _is_memory(phdr: ProgramHeader) -> bool:
    return phdr.type == PT_LOAD and phdr.filesz > 0 and phdr.paddr + phdr.filesz <= _MOST_MEMORY


def _is_hole(phdr: ProgramHeader) -> bool:
    return phdr.type == PT_LOAD and phdr.filesz < phdr.memsz and phdr.paddr + phdr.memsz <= _MOST_MEMORY


class ElfCore:
    """Memory as an ELF core has it; `left_out` is what it names and has no bytes of, `cut_off` what would be beyond the
    end of the file; `problems` say what else is wrong with its headers.

    Raises DumpError where the file is none, or not of a whole machine.
    """

    def __init__(self, path: Path, flat: FlatFile | None = None) -> None:
        """`flat` is the file where it is flattened."""
        self._name = visible(str(path))
        self._flat = flat
        self._file, self._size = open_file(path, self) if flat is None else (-1, flat.size)
        self._windows: OrderedDict[int, memoryview] = OrderedDict()
        self._lock = threading.Lock()
        self._mappable = flat is None
        self.problems: list[str] = [flat.problem] if flat is not None and flat.problem else []
        self.whole: bool = not self.problems
        phdrs = self._headers()
        # The kernel's image lies in /proc/vmcore twice, by itself first; where both are whole, the lowest one is read.
        loads = sorted((each for each in phdrs if _is_memory(each)), key=lambda each: each.paddr)
        there = [min(each.filesz, max(0, self._size - each.offset)) for each in loads]
        self._layers = Layers(
            [each.paddr for each in loads],
            [each.paddr + size for each, size in zip(loads, there, strict=True)],
            [min(each.offset, self._size) for each in loads],
        )
        self.segments: tuple[Mapped, ...] = tuple(
            Mapped(each.paddr, each.vaddr, each.memsz) for each in phdrs if each.type == PT_LOAD
        )
        self.ranges: RangeSet = RangeSet(self._layers.runs())
        memory = [Range(*each) for each in self._layers.runs()]
        gone = subtract((Range(each.paddr, each.paddr + each.filesz) for each in loads), memory)
        self.cut_off: RangeSet = RangeSet((each.start, each.end) for each in merge(gone))
        named = merge(Range(each.paddr, each.paddr + each.filesz) for each in loads)
        holes = (Range(each.paddr + each.filesz, each.paddr + each.memsz) for each in phdrs if _is_hole(each))
        self.left_out: RangeSet = RangeSet((each.start, each.end) for each in subtract(holes, named))
        self.notes: bytes = b"".join(self._notes(phdrs))

    @cached_property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """As Memory says; where no note has it, as in QEMU's dumps, it is searched for in memory."""
        noted = vmcoreinfo_of(self.notes)
        return noted if noted.lines else search_vmcoreinfo(self.machine, self.ranges, self.physical)

    @property
    def noted(self) -> bool:
        """Whether VMCOREINFO is in the notes."""
        return bool(vmcoreinfo_of(self.notes).lines)

    def physical(self, address: int, size: int) -> bytes:
        """As Memory says."""
        parts = []
        while size:
            offset, there = self._find(address)
            count = min(size, there)
            parts.append(self._read(offset, count))
            address, size = address + count, size - count
        return b"".join(parts)

    def virtual(self, address: int, size: int) -> bytes:
        """As Memory says."""
        return read_virtual(self, self._name, address, size)

    def view(self, address: int, size: int) -> memoryview:
        """As Source says."""
        offset, there = self._find(address)
        if size > there:
            return memoryview(self.physical(address, size))  # it lies in more than one piece
        return self._view(offset, size)

    def _headers(self) -> list[ProgramHeader]:
        found = header(self._read(0, min(EHDR_SIZE, self._size)))
        if found is None or found.type != ET_CORE or found.bits != 64:
            raise NoDumpError(
                f"{self._name}: at offset 0: a 64-bit ELF core was expected", hint="give a dump of memory"
            )
        if found.machine not in MACHINES:
            raise DumpError(
                f"{self._name}: at offset 0x12: machine {found.machine} is not known",
                hint=f"one of: {', '.join(MACHINES.values())}",
            )
        self.machine: str = MACHINES[found.machine]
        if found.phentsize != found.phdr_size or not 0 < found.phnum < _MOST_PHDRS:
            raise DumpError(f"{self._name}: at offset 0x36: sizes of program headers that can be", hint="give a dump")
        whole = min(found.phnum, max(0, self._size - found.phoff) // found.phentsize)
        if whole < found.phnum:
            self.problems.append(
                f"{self._name}: ends at offset {self._size:#x}: {found.phnum} program headers were expected at offset "
                f"{found.phoff:#x}"
            )
        return list(program_headers(self._read(found.phoff, whole * found.phentsize), found.bits)) if whole else []

    def _notes(self, phdrs: list[ProgramHeader]) -> Iterator[bytes]:
        """The notes, as far as they are in the file."""
        most = _MOST_NOTES
        for each in phdrs:
            if each.type != PT_NOTE:
                continue
            there = min(each.filesz, max(0, self._size - each.offset))
            if there < each.filesz or there > most:
                self.problems.append(
                    f"{self._name}: at offset {each.offset:#x}: {each.filesz} bytes of notes were expected, "
                    f"{f'at most {_MOST_NOTES} can be' if there > most else f'{there} are there'}"
                )
            yield self._read(each.offset, min(there, most)) if there else b""
            most -= min(there, most)

    def _find(self, address: int) -> tuple[int, int]:
        """Where in the file an address is, and how many bytes are in a row from there on."""
        found = self._layers.find(address)
        if found is not None:
            return found
        if address in self.cut_off:
            raise DumpError(
                f"{self._name}: ends at offset {self._size:#x}, the bytes of address {address:#x} were expected",
                hint=_CUT_OFF,
            )
        raise DumpError(f"{self._name}: physical address {address:#x} is not in the dump", hint="give another address")

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:  # before anything is allocated
            there = max(0, self._size - offset)
            raise DumpError(
                f"{self._name}: ends at offset {self._size:#x}, {size - there} more bytes were expected",
                hint=_CUT_OFF,
            )
        if self._flat is not None:
            return self._flat.read(offset, size)
        data = os.pread(self._file, size, offset)
        while len(data) < size:
            more = os.pread(self._file, size - len(data), offset + len(data))
            if not more:
                raise DumpError(
                    f"{self._name}: ends at offset {offset + len(data):#x}, {size - len(data)} more were expected",
                    hint=_CUT_OFF,
                )
            data += more
        return data

    def _view(self, offset: int, size: int) -> memoryview:
        if offset + size > self._size or not self._mappable:
            return memoryview(self._read(offset, size))
        first = offset // _WINDOW
        if (offset + size - 1) // _WINDOW != first:
            start = offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
            return self._map(start, offset + size - start)[offset - start : offset - start + size]
        with self._lock:
            window = self._windows.get(first)
            if window is None:
                window = self._map(first * _WINDOW, min(_WINDOW, self._size - first * _WINDOW))
                self._windows[first] = window
                if len(self._windows) > _WINDOWS:
                    self._windows.popitem(last=False)
        return window[offset - first * _WINDOW :][:size]

    def _map(self, offset: int, size: int) -> memoryview:
        try:
            return memoryview(mmap.mmap(self._file, size, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED, offset=offset))
        except (OSError, ValueError):  # some kernels' /proc/vmcore can be read only
            self._mappable = False
            return memoryview(self._read(offset, size))
