"""Page tables that map physical memory onto itself, in 1 GiB and 2 MiB pages (4 or 5 levels)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from warmboot.kernel.memory import PhysicalMemory
from warmboot.memmap.range_set import RangeSet
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

__all__ = ["IdentityMapping"]

_TABLE = 0x63  # PRESENT RW ACCESSED DIRTY: _KERNPG_TABLE
_LARGE = 0x1E3  # the same with PSE and GLOBAL, executable: __PAGE_KERNEL_LARGE_EXEC
_PMD_SHIFT, _PUD_SHIFT = 21, 30
_ENTRIES = 512
_ENTRY = struct.Struct("<Q")


class IdentityMapping:
    """One set of tables that can be put into any frames; table 0 is the top one.

    `gbpages` says whether 1 GiB pages exist, `only_full` whether they are used only for a range that covers all of
    one (see Profile.gbpages_only_when_full).
    """

    def __init__(self, *, la57: bool, gbpages: bool, only_full: bool) -> None:
        self._top_shift = 48 if la57 else 39
        self.nr_tables: int = 1  # frames that the tables take
        self.nr_page_tables = 4 if la57 else 3  # frames that the tables take which map one 4 KiB page besides
        self._gbpages = gbpages
        self._only_full = only_full
        self._contents = bytearray(PAGE_SIZE)  # of all tables, but for the entries that point to a table
        self._links: list[tuple[int, int]] = []  # where in them such an entry is, in bytes, and the table's number
        self._tables: dict[tuple[int, int], int] = {}  # (shift, address of what it maps): number
        self._gigabytes: set[int] = set()  # addresses, in units of 1 GiB, that one entry maps
        self._added = RangeSet()
        # Whether physical bytes from one up to another are in one range that was added.
        self.covers: Callable[[int, int], bool] = self._added.covers

    def add(self, start: int, end: int) -> None:
        """Map physical bytes `start` up to `end`; what is mapped already stays."""
        if start < end:
            self._added.add(start, end)
        address = start
        while address < end:
            behind = min(end, ((address >> _PUD_SHIFT) + 1) << _PUD_SHIFT)
            self._add_within_pud(address, behind)
            address = behind

    def _add_within_pud(self, start: int, end: int) -> None:
        """Map a range that does not cross a boundary of 1 GiB."""
        table, shift = 0, self._top_shift
        while shift > _PUD_SHIFT:
            table = self._next(table, start, shift)
            shift -= 9
        gigabyte = start >> _PUD_SHIFT
        if gigabyte in self._gigabytes:
            return
        base = gigabyte << _PUD_SHIFT
        full = start == base and end - start == 1 << _PUD_SHIFT
        if self._gbpages and (_PUD_SHIFT, gigabyte) not in self._tables and (full or not self._only_full):
            self._gigabytes.add(gigabyte)
            _ENTRY.pack_into(self._contents, _offset(table, start, _PUD_SHIFT), base | _LARGE)
            return
        table = self._next(table, start, _PUD_SHIFT)
        first, last = start >> _PMD_SHIFT << _PMD_SHIFT, end - 1 >> _PMD_SHIFT << _PMD_SHIFT
        pages = range(first | _LARGE, (last | _LARGE) + 1, 1 << _PMD_SHIFT)
        struct.pack_into(f"<{len(pages)}Q", self._contents, _offset(table, first, _PMD_SHIFT), *pages)

    def _next(self, table: int, address: int, shift: int) -> int:
        """The table one level down, made where there is none."""
        key = shift, address >> shift
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = self.nr_tables
            self._contents += bytes(PAGE_SIZE)
            self._links.append((_offset(table, address, shift), found))
            self.nr_tables += 1
        return found

    def write(
        self,
        memory: PhysicalMemory,
        tables: Sequence[range],
        page_tables: Sequence[range] = (),
        virtual: int = 0,
        physical: int = 0,
    ) -> None:
        """Put the tables into the frames of `tables`, and into `page_tables` those that map one 4 KiB page besides.

        That is the page at physical address `physical`, mapped to the virtual address `virtual`, which no physical
        address equals: no table of its own serves anything else.
        """
        addresses = [frame << PAGE_SHIFT for run in (*tables, *page_tables) for frame in run]
        contents = self._contents + bytes((len(addresses) - self.nr_tables) * PAGE_SIZE)
        for at, table in self._links:
            _ENTRY.pack_into(contents, at, addresses[table] | _TABLE)
        if page_tables:
            at, shift = 0, self._top_shift
            for number in range(self.nr_tables, len(addresses)):
                _ENTRY.pack_into(contents, at + (virtual >> shift) % _ENTRIES * 8, addresses[number] | _TABLE)
                at, shift = number * PAGE_SIZE, shift - 9
            _ENTRY.pack_into(contents, at + (virtual >> PAGE_SHIFT) % _ENTRIES * 8, physical | _TABLE)
        rest = memoryview(contents)
        for run in (*tables, *page_tables):
            size = len(run) * PAGE_SIZE
            memory.write(run.start << PAGE_SHIFT, rest[:size])
            rest = rest[size:]


def _offset(table: int, address: int, shift: int) -> int:
    """Where, in bytes from the first table on, the entry for `address` is in a table of entries of 2**shift bytes."""
    return table * PAGE_SIZE + (address >> shift) % _ENTRIES * 8
