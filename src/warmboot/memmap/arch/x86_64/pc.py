"""A plain PC: what its firmware tells of memory, and what a kernel on it keeps."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.memmap.entries import E820Type, e820_of_iomem
from warmboot.memmap.facts import Facts
from warmboot.memmap.iomem import parse_iomem
from warmboot.memmap.ranges import Range
from warmboot.uapi import PAGE_SIZE

__all__ = ["pc"]


def pc(memory: int, *, release: str, cpus: int, crashkernel: int, cmdline: str) -> Facts:
    """Its facts: RAM lies below 2 GiB first and goes on at 4 GiB, as chipsets have it. Raises InputError."""
    if memory < 64 << 20 or memory % (1 << 20):
        raise InputError(f"{memory} bytes of memory: too few, or no whole MiB", hint="give 64M or more")
    low = min(memory, 2 << 30)
    crash = _crash_reservation(low, crashkernel)
    lines = [
        "00000000-00000fff : Reserved",
        "00001000-0009fbff : System RAM",
        "0009fc00-0009ffff : Reserved",
    ]
    lines += ["000f0000-000fffff : Reserved", f"00100000-{low - 1:08x} : System RAM"]
    if crash:
        lines.append(f"  {crash.start:08x}-{crash.end - 1:08x} : Crash kernel")
    if memory > low:
        lines.append(f"100000000-{(4 << 30) + memory - low - 1:x} : System RAM")
    iomem = "\n".join(lines) + "\n"
    ram = sum(each.range.size for each in e820_of_iomem(parse_iomem(iomem)) if each.type is E820Type.RAM)
    return Facts(
        release=release,
        machine="x86_64",
        cmdline=cmdline,
        iomem=iomem,
        page_size=PAGE_SIZE,
        totalram_pages=(ram - crashkernel) // PAGE_SIZE,
        lockdown="[none] integrity confidentiality",
        kexec_crash_size=str(crashkernel),
        la57=False,
        cpus=cpus,
        efi=False,
    )


def _crash_reservation(low: int, size: int) -> Range | None:
    """Where `size` bytes below `low` are reserved: as high as possible, aligned to 16 MiB (CRASH_ALIGN)."""
    if not size:
        return None
    align = 16 << 20
    start = (low - size) // align * align
    if size % PAGE_SIZE or start < align:
        raise InputError(
            f"a crash kernel of {size} bytes does not fit below {low:#x}",
            hint="reserve less, in whole pages, or give more memory",
        )
    return Range(start, start + size)
