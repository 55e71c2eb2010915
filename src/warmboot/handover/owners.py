"""Whose the preserved memory is: claims of structures that were read, against what the map lists."""

from __future__ import annotations

from collections.abc import Iterable

from warmboot.handover.figures import OwnerFigures, OwnerKind
from warmboot.handover.interface import PAGE_SHIFT, PAGE_SIZE, PhysicalMemory
from warmboot.handover.preserved import PreservedMap
from warmboot.handover.vmalloc import Vmalloc
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, merge, subtract

__all__ = ["Owners"]


class Owners:
    """Claims by owner; a claim takes the whole folios that it touches, as the map has them."""

    def __init__(self, preserved: PreservedMap | None) -> None:
        self._map = preserved
        self._listed = preserved.ranges if preserved is not None else []
        self._set = RangeSet((each.start, each.end) for each in self._listed)
        self._claims: dict[tuple[str, OwnerKind], list[Range]] = {}

    def claim(self, name: str, kind: OwnerKind, where: Iterable[tuple[int, int]]) -> list[Range]:
        """`where` are physical addresses and bytes, at least one each; all that this owner has."""
        taken = self._claims.setdefault((name, kind), [])
        for address, size in where:
            start, end = address & -PAGE_SIZE, -(-(address + size) // PAGE_SIZE) * PAGE_SIZE
            folio = self._map.folio_at(address) if self._map is not None else None
            if folio is not None and folio.end > end:
                end = folio.end
            taken.append(Range(start, end))
        return taken

    def rename(self, old: str, new: str, kind: OwnerKind) -> None:
        """Give what `old` claimed to `new`."""
        self._claims.setdefault((new, kind), []).extend(self._claims.pop((old, kind), []))

    @staticmethod
    def area(area: Vmalloc, memory: PhysicalMemory) -> list[tuple[int, int]]:
        """What a preserved area takes: its pages of addresses, and its own. Raises WarmbootError."""
        taken = list[tuple[int, int]]()
        for chunk, blocks in area.chunks(memory):
            taken.append((chunk, PAGE_SIZE))
            taken += ((each, PAGE_SIZE << area.order) for each in blocks)
        return taken

    def claimed(self) -> list[Range]:
        """All that has an owner, merged."""
        return merge(each for ranges in self._claims.values() for each in ranges)

    def unowned(self) -> tuple[Range, ...]:
        """What is preserved and has no owner."""
        return tuple(subtract(self._listed, self.claimed()))

    def all_listed(self) -> bool:
        """Whether the map lists all that has an owner."""
        return not subtract(self.claimed(), self._listed)

    def figures(self) -> tuple[OwnerFigures, ...]:
        """Each owner, by the first address of its memory."""
        found = []
        for (name, kind), ranges in self._claims.items():
            whole = merge(ranges)
            listed = sum(len(run) for each in whole for run in self._set.within(each.start, each.end))
            found.append(OwnerFigures(name, kind, sum(each.size for each in whole), listed, tuple(whole)))
        return tuple(sorted(found, key=lambda each: (each.kind.value, each.name)))

    def free_pages(self) -> Iterable[int]:
        """The addresses of single preserved pages without an owner, lowest first."""
        if self._map is None:
            return
        claimed = self.claimed()
        single = [Range(*each) for each in self._map.orders.get(0, ())]
        for run in subtract(single, claimed):
            for frame in range(run.start >> PAGE_SHIFT, run.end >> PAGE_SHIFT):
                yield frame << PAGE_SHIFT
