"""Memory before and after a jump, and in the dump, byte for byte."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

from warmboot.crash_figures import DumpFigures
from warmboot.dump.interface import DumpError
from warmboot.kernel import PhysicalMemory
from warmboot.memmap import Range
from warmboot.rehearsal.capture.found import SavedDump
from warmboot.uapi import PAGE_SIZE

__all__ = ["Compared", "cleared_by_efi", "copied", "fill", "with_comparison"]

_BLOCK = 4 << 20  # bytes compared at once
_EVERY = 64 << 10  # bytes: one page of each so many is filled, fewer where that would be too many
_MOST_FILLED = 1 << 14  # pages
_KEPT, _SHOWN = 4096, 8
_TABLE = 64  # bytes of an EFI table of Linux's own
_COPY = 8 << 20


def fill(memory: PhysicalMemory, free: Sequence[Range], first: Sequence[bytes]) -> None:
    """Put a page that no other is like at every 64 KiB of `free`, or fewer; the first of them have `first` instead."""
    step = max(_EVERY, sum(each.size for each in free) // _MOST_FILLED // PAGE_SIZE * PAGE_SIZE)
    texts = iter(first)
    for each in free:
        start = -(-each.start // PAGE_SIZE) * PAGE_SIZE
        for at in range(start, each.end - PAGE_SIZE + 1, step):
            if not memory.has(at, PAGE_SIZE):
                continue
            text = next(texts, None)
            seed = hashlib.sha256(at.to_bytes(8, "little")).digest() * (PAGE_SIZE // 32) if text is None else text
            memory.write(at, seed[:PAGE_SIZE].ljust(PAGE_SIZE, b"\0"))


def copied(source: int, target: int) -> None:
    """Copy a file of memory without its holes."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(source, min(_COPY, end - at), at)
            os.pwrite(target, data, at)
            at += len(data)


class Compared:
    """Counts bytes that are the `same` in the memory, in its copy `before`, and in the dump, and `all` compared.

    `differs_at` are the physical addresses of the first bytes that are not.
    """

    def __init__(self, memory: PhysicalMemory, before: int, dump: SavedDump) -> None:
        self._memory, self._before, self._dump = memory, before, dump
        self.same: int = 0
        self.all: int = 0
        self.differs_at: list[int] = []

    def add(self, where: Range, *, in_memory: bool) -> None:
        """Compare a physical range; with the memory as it is now only if `in_memory`."""
        bank = next(each for each in self._memory.banks if each.range.contains(where))
        for start in range(where.start, where.end, _BLOCK):
            size = min(_BLOCK, where.end - start)
            before = os.pread(self._before, size, bank.offset + start - bank.range.start)
            others = [self._memory.read(start, size)] if in_memory else []
            dumped = self._dump.physical(start, size)
            if dumped is None:
                raise DumpError(f"the dump has not all of {where}", hint="report it, with --console FILE")
            self.all += size
            differing = _differing(before, [*others, dumped])
            self.same += size - len(differing)
            self.differs_at += [start + at for at in differing[: _KEPT - len(self.differs_at)]]


def cleared_by_efi(differs_at: Sequence[int], tables: Sequence[int]) -> int:
    """How many of the bytes that differ lie in EFI tables that the capture kernel has taken up.

    Linux's EFI code clears what it takes from its own tables: the random seed (drivers/firmware/efi/efi.c), and in 7.2
    where the initrd is. They lie in memory that the firmware's boot services had, which the first kernel has reused.
    """
    return sum(any(each <= at < each + _TABLE for each in tables) for at in differs_at)


def with_comparison(figures: DumpFigures, compared: Compared, tables: Sequence[int]) -> DumpFigures:
    """The figures with what was compared; `tables` are EFI's, as the capture kernel tells."""
    return replace(
        figures,
        compared=compared.same,
        comparable=compared.all,
        cleared=cleared_by_efi(compared.differs_at, tables),
        differs_at=tuple(compared.differs_at[:_SHOWN]),
    )


def _differing(before: bytes, others: Sequence[bytes]) -> list[int]:
    """Where not all are the same."""
    if all(each == before for each in others):
        return []
    return [at for at, value in enumerate(before) if any(each[at] != value for each in others)]
