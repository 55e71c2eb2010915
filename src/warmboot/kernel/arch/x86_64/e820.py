"""The memory map that kexec_file_load hands on: e820_table_kexec of arch/x86/kernel/e820.c."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from warmboot.memmap import E820Entry, E820Type, Facts, Range, subtract
from warmboot.memmap.entries import E820_NAMES
from warmboot.memmap.firmware import Firmware
from warmboot.memmap.iomem import parse_iomem

__all__ = ["E820_MAX_ENTRIES_ZEROPAGE", "e820_table_kexec"]

E820_MAX_ENTRIES_ZEROPAGE = 128
_BOOT_PARAMS_SIZE = 4096
_E820_ENTRIES, _E820_TABLE = 0x1E8, 0x2D0  # in struct boot_params
_ENTRY = struct.Struct("<QQI")  # struct boot_e820_entry: addr, size, type
_SETUP_DATA_SIZE = 16  # bytes before the data of each
_SETUP_EFI, _SETUP_IMA, _SETUP_RNG_SEED = 4, 8, 9


def e820_table_kexec(
    facts: Facts, firmware: Firmware | None = None, *, marks_setup_data: bool = False
) -> Sequence[E820Entry]:
    """The memory map as firmware told it, which is handed on; the running kernel's own where only that is known.

    /sys/firmware/memmap has memory too that was added later, which this map never gets: the boot parameters in
    `firmware` tell which that is. With `marks_setup_data` what a boot loader gave as setup_data has a type of its own.
    """
    firmware = firmware or Firmware()
    given = _given(firmware.boot_params)
    if facts.firmware_memmap is None:
        entries = given or list(facts.e820)
    else:
        told = ((each.range, E820_NAMES.get(each.name)) for each in parse_iomem(facts.firmware_memmap))
        first = [each.range for each in given]
        entries = [
            E820Entry(where, kind)
            for where, kind in told
            if kind is not None and (not first or any(where.overlaps(each) for each in first))
        ]
    marked = list(_setup_data(facts, firmware)) if marks_setup_data else []
    return list(_with_marks(entries, marked)) if marked else entries


def _given(boot_params: bytes) -> list[E820Entry]:
    """What the boot loader told a kernel of memory, by address; nothing where there may be more of it elsewhere."""
    count = boot_params[_E820_ENTRIES] if len(boot_params) == _BOOT_PARAMS_SIZE else E820_MAX_ENTRIES_ZEROPAGE
    if count >= E820_MAX_ENTRIES_ZEROPAGE:
        return []
    words = (_ENTRY.unpack_from(boot_params, _E820_TABLE + _ENTRY.size * number) for number in range(count))
    known = {int(each) for each in E820Type}
    entries = (E820Entry(Range(start, start + size), E820Type(kind)) for start, size, kind in words if kind in known)
    return sorted((each for each in entries if each.range.size), key=lambda each: each.range)


def _setup_data(facts: Facts, firmware: Firmware) -> Iterator[Range]:
    """Where setup_data lies, but for what kexec_file_load gives by itself (e820__reserve_setup_data).

    No file tells that, but /proc/iomem has it as RAM of its own between RAM: a piece of the right size is one.
    """
    own = (_SETUP_EFI, _SETUP_IMA, _SETUP_RNG_SEED)
    sizes = {_SETUP_DATA_SIZE + size for kind, size in firmware.setup_data if kind not in own}
    ram = facts.system_ram
    borders = {each.start for each in ram} & {each.end for each in ram}
    for each in ram:
        if each.size in sizes and (each.start in borders or each.end in borders):
            yield each


def _with_marks(entries: Sequence[E820Entry], marked: Sequence[Range]) -> Iterator[E820Entry]:
    """The map, sorted, where RAM that is marked is Linux's."""
    for entry in entries:
        inside = [each for each in marked if entry.range.contains(each)] if entry.type is E820Type.RAM else []
        pieces = [E820Entry(each, entry.type) for each in subtract([entry.range], inside)] if inside else [entry]
        pieces += [E820Entry(each, E820Type.RESERVED_KERN) for each in inside]
        yield from sorted(pieces, key=lambda each: each.range)
