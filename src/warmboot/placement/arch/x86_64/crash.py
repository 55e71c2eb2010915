"""What a crash image has besides a kernel: the dump's headers, saved low memory, a memory map of its own.

All of it lies in the reservation for crash kernels, as the rest of memory is what shall be dumped. The crash kernel
gets the reservations as its RAM, and the lowest RAM, where it starts processors; so purgatory saves those bytes on
the way in. This is what kexec-tools does. (Since Linux 5.6 the crashed kernel itself keeps nothing in the first MiB.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from warmboot.dump import DumpFacts, Moved
from warmboot.dump.elfcorehdr import elfcorehdr
from warmboot.errors import RefusedError
from warmboot.memmap.entries import E820Entry, E820Type
from warmboot.memmap.ranges import Range, subtract
from warmboot.placement.crash import CrashDump, CrashPlan
from warmboot.placement.space import Space
from warmboot.purgatory.parameters import Backup
from warmboot.uapi import PAGE_SIZE, KexecFlags, Readable, Segment, page_align

__all__ = ["plan_crash"]

_LEAST_HEADERS = 16 << 10  # bytes that kexec-tools always leaves for them
_LEAST_MEMMAP = 100 << 10  # RAM that is smaller is not worth its place on the command line
_KIB = 1024
_MEMMAP_SIGNS = {E820Type.RAM: "@", E820Type.ACPI: "#", E820Type.NVS: "#", E820Type.PRAM: "!"}
_HINT = "reserve more: boot the running kernel with a larger crashkernel="


def plan_crash(dump: CrashDump, space: Space, *, acpi_rsdp: int = 0) -> CrashPlan:
    """Take room at the top of `space`, which is what is free of `dump.load_range`.

    `acpi_rsdp` (physical) goes to the command line unless it is 0: for a kernel that will not hear of it from EFI.
    Raises RefusedError where there is no room, or no kernel that can do what is asked.
    """
    facts = dump.facts
    if dump.hotplug and not facts.elfcorehdr_size:
        raise RefusedError(
            "Path /sys/kernel/crash_elfcorehdr_size does not exist, the kernel needs CONFIG_CRASH_HOTPLUG",
            hint="leave out --hotplug, or run a kernel of Linux 6.6 or later with CONFIG_CRASH_HOTPLUG",
        )
    saved, moved = None, None
    if facts.low is not None:
        saved = _take(space, "saved low memory", b"", facts.low.size)
        moved = Moved(facts.low, saved.mem)
    data = elfcorehdr(facts, moved)
    least = facts.elfcorehdr_size if dump.hotplug else _LEAST_HEADERS
    headers = _take(space, "elfcorehdr", data, max(least, len(data)))
    taken = [Range(each.mem, each.end) for each in (headers, saved) if each is not None]
    e820 = tuple(_memory(facts, taken))
    words = [f"acpi_rsdp={acpi_rsdp:#x}"] if acpi_rsdp else []
    words.append(f"elfcorehdr={headers.mem // _KIB}K")
    if dump.pass_memmap:
        words += ["memmap=exactmap", *_memmap(e820)]
    return CrashPlan(
        headers=headers,
        saved=saved,
        backup=None if moved is None else Backup(moved.source.start, moved.source.size, moved.to),
        e820=() if dump.pass_memmap else e820,
        command_line=" ".join(words),
        flags=KexecFlags.ON_CRASH | (KexecFlags.UPDATE_ELFCOREHDR if dump.hotplug else KexecFlags(0)),
        digest_headers=not dump.hotplug,
    )


def _take(space: Space, name: str, data: bytes, size: int) -> Segment:
    found = space.highest(page_align(size), align=PAGE_SIZE, least=0, below=1 << 64)
    if found is None:
        raise space.no_room(name, page_align(size), _HINT)
    space.take(found)
    return Segment(Readable.of(data), len(data), found.start, found.size, name)


def _memory(facts: DumpFacts, taken: Iterable[Range]) -> list[E820Entry]:
    """What the crash kernel may use, without what it must keep until it is read, and what is no RAM."""
    low = () if facts.low is None else (facts.low,)
    ram = [E820Entry(each, E820Type.RAM) for each in subtract([*low, *facts.reserved], taken)]
    return sorted([*ram, *facts.others], key=lambda each: each.range)


def _memmap(e820: Iterable[E820Entry]) -> Iterator[str]:
    """The map as the kernel's memmap= takes it, in KiB; RAM rounded to less, all else to more."""
    for each in e820:
        start, end = each.range.start, each.range.end
        if each.type is E820Type.RAM:
            start, end = -(-start // _KIB), end // _KIB
            if (end - start) * _KIB < _LEAST_MEMMAP:
                continue
        else:
            start, end = start // _KIB, -(-end // _KIB)
        if each.type in _MEMMAP_SIGNS:
            yield f"memmap={end - start}K{_MEMMAP_SIGNS[each.type]}{start}K"
