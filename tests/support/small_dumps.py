"""Small dumps of real kernels: the pages of the log, symbols, types, tasks and call chains, in every format."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path

from support.vmcores import vmcore
from warmboot.dump.dump import Dump
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.info import dump_info
from warmboot.dump.interface import DumpError
from warmboot.dump.save import SavePlan, save
from warmboot.dump.source import Mapped
from warmboot.dump.translated import read_virtual
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, merge

__all__ = ["PAGE", "SmallCore", "dump_files", "small_core"]

PAGE = 4096


class SmallCore:
    """A dump of whose memory only what was read of it counts."""

    def __init__(self, whole: ElfCore) -> None:
        self._whole = whole
        self.machine: str = whole.machine
        self.notes: bytes = whole.notes
        self.vmcoreinfo: Vmcoreinfo = whole.vmcoreinfo
        self.segments: tuple[Mapped, ...] = whole.segments
        self.ranges: RangeSet = whole.ranges
        self.noted: bool = whole.noted
        self.left_out: RangeSet = whole.left_out
        self.cut_off: RangeSet = whole.cut_off
        self.whole: bool = whole.whole
        self.problems: list[str] = whole.problems
        self._read = set[int]()

    def physical(self, address: int, size: int) -> bytes:
        data = self._whole.physical(address, size)
        self._read.update(range(address // PAGE, (address + size - 1) // PAGE + 1))
        return data

    def view(self, address: int, size: int) -> memoryview:
        return memoryview(self._whole.physical(address, size))

    def virtual(self, address: int, size: int) -> bytes:
        return read_virtual(self, "small", address, size)

    def settle(self) -> None:
        """What was not read up to now is not there from now on."""
        runs = merge(Range(each * PAGE, (each + 1) * PAGE) for each in self._read)
        self.ranges = RangeSet((each.start, each.end) for each in runs)


@cache
def small_core(series: str = "6.12") -> SmallCore:
    """What was read of `vmcore(series)` for its log, and all that its own tables tell."""
    small = SmallCore(ElfCore(vmcore(series)))
    assert dump_info(small).problems == ()
    dump = Dump(small)
    for each in dump.tasks().tasks[::10]:
        with suppress(DumpError):
            dump.backtraces.task(each.address)
    dump.modules()
    assert dump.panicked() is not None
    small.settle()
    return small


def dump_files(folder: Path, series: str = "6.12", *, codec: str = "zstd") -> dict[str, Path]:
    """The small dump in files: "elf", "kdump", "flat", and "one" and "two" of a split dump."""
    source = small_core(series)
    for name, form in (("elf", "elf"), ("kdump", "kdump"), ("flat", "flattened")):
        assert save(source, SavePlan((folder / name,), level=0, format=form, codec=codec)).complete
    assert save(source, SavePlan((folder / "one", folder / "two"), level=0, codec=codec)).complete
    return {name: folder / name for name in ("elf", "kdump", "flat", "one", "two")}
