"""The handover in a file: a dump of any format that `warmboot dump` opens, or memory without headers.

Memory without headers needs no kernel in it that says where it is: up to 2.75 GiB, a machine's memory has no hole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from warmboot.dump.interface import DumpError, NoDumpError
from warmboot.dump.plain_file import PlainFile
from warmboot.handover.interface import PAGE_SIZE, PhysicalMemory
from warmboot.handover.kernel_lists import SYMBOLS, VirtualMemory
from warmboot.handover.look import Given, Look, look
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range
from warmboot.visible import visible

__all__ = ["RawMemory", "kernel_of", "look_file", "open_memory"]

_SMALLEST_WITH_HOLE = 0xB0000000
_HEADS = (b"\x7fELF", b"KDUMP   ", b"makedumpfile")


class RawMemory:
    """Memory without headers: an address is an offset in the file. Only what was ever written there is looked at."""

    def __init__(self, path: Path) -> None:
        """Raises DumpError where it cannot be opened."""
        self._name = visible(str(path))
        self._file = PlainFile(path)
        self.size: int = self._file.size - self._file.size % PAGE_SIZE  # bytes
        self.ranges: RangeSet = RangeSet([(0, self.size)])
        self.filled: RangeSet = RangeSet(self._filled())

    def physical(self, address: int, size: int) -> bytes:
        """As PhysicalMemory says."""
        if not 0 <= address <= address + size <= self.size:
            raise DumpError(f"{self._name}: {size} bytes at {address:#x} are not in it", hint="it is no memory")
        return self._file.read(address, size)

    def _filled(self) -> Iterable[tuple[int, int]]:
        """Whole pages."""
        last = 0
        for start, stop in self._file.filled():
            first, end = max(last, start & -PAGE_SIZE), min(self.size, -(-stop // PAGE_SIZE) * PAGE_SIZE)
            if first < end:
                yield first, end
                last = end


def look_file(path: Path, *more: Path, source: str = "") -> Look:
    """Every handover in a file's memory; `more` are the other files of a split dump, `source` what it is called.

    Raises WarmbootError.
    """
    memory, how, release = open_memory(path, *more)

    @cache
    def kernel() -> tuple[VirtualMemory, Mapping[str, int]] | None:
        return kernel_of(path, *more)

    ram = tuple(Range(each.start, each.stop) for each in memory.ranges.runs())
    return look(memory, Given(source or str(path), how, release, ram=ram, kernel=kernel))


def kernel_of(path: Path, *more: Path) -> tuple[VirtualMemory, Mapping[str, int]] | None:
    """Memory by the kernel's own addresses, and the symbols that are asked for; None where no kernel is found in it."""
    from warmboot.dump.kallsyms import read_kallsyms  # noqa: PLC0415 - for sessions that memory does not name
    from warmboot.dump.opening import open_dump  # noqa: PLC0415

    try:
        dump = open_dump(path, *more)
        symbols = read_kallsyms(dump)
        found = {name: symbols.address(name) for name in SYMBOLS}
    except DumpError:
        return None
    return dump, {name: address for name, address in found.items() if address is not None}


def open_memory(path: Path, *more: Path) -> tuple[PhysicalMemory, str, str]:
    """The memory, what the file is, and the release of its kernel where that is noted. Raises DumpError."""
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - formats are loaded as they are met

    raw = None
    if not more:
        raw = PlainFile(path)
        start = raw.read(0, min(16, raw.size))
        if not start.startswith(_HEADS):
            if raw.size < PAGE_SIZE:
                raise NoDumpError(f"{visible(str(path))}: holds no page of memory", hint="give a dump, or memory")
            if raw.size <= _SMALLEST_WITH_HOLE:
                return RawMemory(path), "memory without headers", ""
    dump = open_dump(path, *more)
    return dump, "memory without headers" if raw is None or not dump.notes else "a dump", dump.vmcoreinfo.release
