"""The e820 memory map: how x86 firmware, and whoever starts a kernel, tells which memory is what."""

from __future__ import annotations

import struct
from enum import IntEnum
from itertools import pairwise

from warmboot.errors import InputError
from warmboot.memmap.ranges import Range, intersect, subtract
from warmboot.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmboot.memmap.iomem import Resource

__all__ = ["E820_NAMES", "E820Entry", "E820Type", "e820_of_iomem", "iomem_of_e820", "with_reserved"]

_ENTRY = struct.Struct("<QQI")


class E820Type(IntEnum):
    """enum e820_type of arch/x86/include/asm/e820/types.h."""

    RAM = 1
    RESERVED = 2
    ACPI = 3
    NVS = 4
    UNUSABLE = 5
    PMEM = 7
    PRAM = 12
    RESERVED_KERN = 128  # Linux's own, up to 6.14; RAM in /proc/iomem
    SOFT_RESERVED = 0xEFFFFFFF


# The names that Linux gives to e820 entries in /proc/iomem (arch/x86/kernel/e820.c).
E820_NAMES = {
    "System RAM": E820Type.RAM,
    "Reserved": E820Type.RESERVED,
    "reserved": E820Type.RESERVED,  # before 4.18
    "ACPI Tables": E820Type.ACPI,
    "ACPI Non-volatile Storage": E820Type.NVS,
    "Unusable memory": E820Type.UNUSABLE,
    "Persistent Memory": E820Type.PMEM,
    "Persistent Memory (legacy)": E820Type.PRAM,
    "Soft Reserved": E820Type.SOFT_RESERVED,
}
_NAMES = {kind: name for name, kind in E820_NAMES.items() if name != "reserved"}


@dataclass(frozen=True, slots=True)
class E820Entry:
    """A range of physical bytes and its type."""

    range: Range
    type: E820Type

    def pack(self) -> bytes:
        """struct boot_e820_entry, 20 bytes."""
        return _ENTRY.pack(self.range.start, self.range.size, self.type)


def e820_of_iomem(resources: Iterable[Resource]) -> list[E820Entry]:
    """The memory map behind /proc/iomem, sorted: its entries that came from an e820 map.

    Linux inserts the reserved ones late (e820__reserve_resources_late), so a bus or its configuration space may
    lie around them. What lies inside an entry is a detail of it. Raises InputError where two entries overlap.
    """
    entries: list[E820Entry] = []
    for where, name, _ in resources:
        kind = E820_NAMES.get(name)
        if kind is not None and not (entries and entries[-1].range.contains(where)):
            entries.append(E820Entry(where, kind))
    entries.sort(key=lambda entry: (entry.range.start, entry.range.end))
    for before, after in pairwise(entries):
        if before.range.overlaps(after.range):
            raise InputError(
                f"iomem: {before.range} and {after.range} overlap",
                hint="take the text of /proc/iomem as it is, read as root",
            )
    return entries


def iomem_of_e820(entries: Iterable[E820Entry]) -> str:
    """The entries in the order given, as lines of /proc/iomem."""
    return "".join(f"{each.range.start:08x}-{each.range.end - 1:08x} : {_NAMES[each.type]}\n" for each in entries)


def with_reserved(entries: Iterable[E820Entry], where: Range) -> list[E820Entry]:
    """The map with what is RAM of `where` reserved; in the order given, its pieces in the place of the RAM."""
    found: list[E820Entry] = []
    for each in entries:
        inside = intersect([each.range], [where]) if each.type is E820Type.RAM else []
        pieces = [E820Entry(rest, each.type) for rest in subtract([each.range], inside)] if inside else [each]
        pieces += [E820Entry(kept, E820Type.RESERVED) for kept in inside]
        found += sorted(pieces, key=lambda piece: piece.range)
    return found
