"""What a running kernel tells in advance of a dump of its memory."""

from __future__ import annotations

from warmboot.memmap.entries import E820Entry
from warmboot.memmap.ranges import Range
from warmboot.records import dataclass

__all__ = ["DumpFacts", "KernelText", "Moved"]


@dataclass(frozen=True, slots=True)
class KernelText:
    """Where the kernel itself is mapped, which is no part of the direct map: `size` bytes from `vaddr` on."""

    vaddr: int
    paddr: int
    size: int


@dataclass(frozen=True, slots=True)
class Moved:
    """RAM that the crash kernel needs for itself, and where its bytes are saved before (both physical)."""

    source: Range
    to: int


@dataclass(frozen=True, slots=True)
class DumpFacts:
    """A machine whose kernel may crash. Ranges are physical; `page_offset` is virtual, where the direct map begins.

    `ram` is what to dump, in the order of /proc/iomem and without `reserved`, the reservations for crash kernels,
    lowest first. `others` is memory that is no RAM, which the crash kernel is told of.
    """

    ram: tuple[Range, ...]
    reserved: tuple[Range, ...]
    others: tuple[E820Entry, ...]
    notes: tuple[Range, ...]  # for each present processor: its registers are written there at the crash
    vmcoreinfo: Range | None
    text: KernelText
    page_offset: int
    elfcorehdr_size: int = 0  # bytes that the headers may grow to as the machine changes; 0 where nobody updates them
    possible_cpus: int = 0  # those that may be added later among them; 0 where that is not known

    @property
    def low(self) -> Range | None:
        """The first RAM of the lowest 640 KiB: a crash kernel starts its processors there."""
        return next((each for each in self.ram if each.end <= 640 << 10), None)
