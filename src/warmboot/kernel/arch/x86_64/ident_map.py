"""Page tables that map physical memory onto itself, in 1 GiB and 2 MiB pages (4 or 5 levels)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warmboot.kernel.memory import PhysicalMemory
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

__all__ = ["IdentityMapping"]

_TABLE = 0x63  # PRESENT RW ACCESSED DIRTY: _KERNPG_TABLE
_LARGE = 0x1E3  # the same with PSE and GLOBAL, executable: __PAGE_KERNEL_LARGE_EXEC
_ADDRESS = 0x000F_FFFF_FFFF_F000
_PMD_SHIFT, _PUD_SHIFT = 21, 30
_ENTRIES = 512


class IdentityMapping:
    """One set of tables under the top table in frame `pgd`, whose contents are cleared.

    `alloc` gives the frame of a table, or raises; `gbpages` says whether 1 GiB pages exist, `only_full` whether
    they are used only for a range that covers all of one (see Profile.gbpages_only_when_full).
    """

    def __init__(
        self, memory: PhysicalMemory, pgd: int, alloc: Callable[[], int], *, la57: bool, gbpages: bool, only_full: bool
    ) -> None:
        self._memory = memory
        self._alloc = alloc
        self._top_shift = 48 if la57 else 39
        self._gbpages = gbpages
        self._only_full = only_full
        self._pgd = pgd
        self._tables: dict[tuple[int, int], int] = {}  # (shift, address of what it maps): frame
        self._gigabytes: set[int] = set()  # addresses, in units of 1 GiB, that one entry maps
        memory.clear(pgd << PAGE_SHIFT, PAGE_SIZE)

    def add(self, start: int, end: int) -> None:
        """Map physical bytes `start` up to `end`; what is mapped already stays."""
        address = start
        while address < end:
            behind = min(end, ((address >> _PUD_SHIFT) + 1) << _PUD_SHIFT)
            self._add_within_pud(address, behind)
            address = behind

    def _add_within_pud(self, start: int, end: int) -> None:
        """Map a range that does not cross a boundary of 1 GiB."""
        pud_table = self._table_for(start, _PUD_SHIFT)
        base = start >> _PUD_SHIFT << _PUD_SHIFT
        gigabyte = start >> _PUD_SHIFT
        if gigabyte in self._gigabytes:
            return
        full = start == base and end - start == 1 << _PUD_SHIFT
        mapped = (_PUD_SHIFT, gigabyte) in self._tables
        if self._gbpages and not mapped and (full or not self._only_full):
            self._gigabytes.add(gigabyte)
            self._set(pud_table, start, _PUD_SHIFT, base | _LARGE)
            return
        pmd_table = self._next(pud_table, start, _PUD_SHIFT)
        first, last = (start - base) >> _PMD_SHIFT, (end - 1 - base) >> _PMD_SHIFT
        pages = np.arange(first, last + 1, dtype=np.uint64) << np.uint64(_PMD_SHIFT)
        self._memory.write_words((pmd_table << PAGE_SHIFT) + 8 * first, pages + np.uint64(base) | np.uint64(_LARGE))

    def add_page(self, virtual: int, physical: int) -> None:
        """Map one 4 KiB page at physical address `physical` to the virtual address `virtual`."""
        pud_table = self._table_for(virtual, _PUD_SHIFT)
        pmd_table = self._next(pud_table, virtual, _PUD_SHIFT)
        pte_table = self._next(pmd_table, virtual, _PMD_SHIFT)
        self._set(pte_table, virtual, PAGE_SHIFT, physical | _TABLE)

    def allocate_from(self, alloc: Callable[[], int]) -> None:
        """Take the frames of further tables from `alloc`."""
        self._alloc = alloc

    def _table_for(self, address: int, shift: int) -> int:
        """The frame of the table whose entries map 2**shift bytes each, for `address`."""
        table, level = self._pgd, self._top_shift
        while level > shift:
            table = self._next(table, address, level)
            level -= 9
        return table

    def _next(self, table: int, address: int, shift: int) -> int:
        """The table one level down, made where there is none."""
        key = shift, address >> shift
        found = self._tables.get(key)
        if found is None:
            found = self._alloc()
            self._memory.clear(found << PAGE_SHIFT, PAGE_SIZE)
            self._tables[key] = found
            self._set(table, address, shift, found << PAGE_SHIFT | _TABLE)
        return found

    def _slot(self, table: int, address: int, shift: int) -> int:
        return (table << PAGE_SHIFT) + 8 * ((address >> shift) % _ENTRIES)

    def _set(self, table: int, address: int, shift: int, entry: int) -> None:
        self._memory.write(self._slot(table, address, shift), entry.to_bytes(8, "little"))
