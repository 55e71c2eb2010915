"""What a kernel log tells of its computer: firmware's memory map, the release, the command line."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from warmboot.live.files import under
from warmboot.memmap.entries import E820_NAMES, E820Entry, E820Type, iomem_of_e820
from warmboot.memmap.ranges import Range
from warmboot.numbers import number

__all__ = ["Log", "read_log"]

_ENTRY = re.compile(r"BIOS-e820: \[mem 0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\] +([A-Za-z0-9 ()]+)")
_RELEASE = re.compile(r"Linux version (\S{1,200})")
_CMDLINE = re.compile(r"(?:Kernel command|Command) line: (.*)")
_MEMORY = re.compile(r"Memory: ([0-9]+)K/[0-9]+K available")
_CPUS = re.compile(r"smpboot: Allowing ([0-9]+) (?:present )?CPUs|CPU topo: Allowing ([0-9]+) present CPUs")
_EFI = re.compile(r"efi: EFI v[0-9]")
_LOCKED = re.compile(r"Kernel is locked down from")
_RESERVED = re.compile(r"crashkernel(?: low memory)? reserved: 0x([0-9a-f]{1,16}) - 0x([0-9a-f]{1,16})")
_RESERVING = re.compile(r"Reserving ([0-9]+)MB of (?:low )?memory at ([0-9]+)MB for crashkernel")
_CMA = re.compile(r"cma: Reserved ([0-9]+) MiB at 0x([0-9a-f]{1,16})")
# Newer releases, as 7.2, write them as /proc/iomem does, and what is reserved as "device reserved".
_TYPES = {
    "usable": E820Type.RAM,
    "ACPI data": E820Type.ACPI,
    "ACPI NVS": E820Type.NVS,
    "unusable": E820Type.UNUSABLE,
    "persistent (type 7)": E820Type.PMEM,
    "persistent (type 12)": E820Type.PRAM,
    "soft reserved": E820Type.SOFT_RESERVED,
}
_MOST_ENTRIES = 4096
_RECORD = 8192  # bytes: CONSOLE_EXT_LOG_MAX, of a record at most
_MIB = 1 << 20
_PAGE_SIZE = 4096
_MOST_LOG = 64 << 20  # bytes: CONFIG_LOG_BUF_SHIFT and log_buf_len= stay below


@dataclass(frozen=True)
class Log:
    """Of the last boot that the log has. Empty, 0 or False where it does not tell.

    `iomem` is the memory map as lines of /proc/iomem, with the crash reservations; `memory` is in bytes, what was free
    when the kernel began to hand it out.
    """

    iomem: str = ""
    release: str = ""
    cmdline: str = ""
    memory: int = 0
    cpus: int = 0
    efi: bool = False
    locked_down: bool = False


def kmsg(root: str = "/") -> str:
    """What the kernel's log still has, a line each (/dev/kmsg below `root`); empty where it cannot be read."""
    found = bytearray()
    try:
        fd = os.open(under(root, "dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        while len(found) < _MOST_LOG:
            try:
                chunk = os.read(fd, _RECORD)
            except BrokenPipeError:  # a record has gone meanwhile
                continue
            if not chunk:
                break
            found += chunk
    except OSError:  # EAGAIN behind the last one
        pass
    finally:
        os.close(fd)
    return found.decode("utf-8", "replace")


def cma_area(text: str, pages: int, free: int) -> str | None:
    """What is free of the default area of contiguous memory, of so many pages, as /proc/iomem writes ranges.

    The area is the log's first of that size; what drivers hold they took from its beginning.
    """
    for size, address in _CMA.findall(text):
        start, mib = number(address, 16), number(size)
        if start is not None and mib == pages * _PAGE_SIZE // _MIB:
            end = start + pages * _PAGE_SIZE
            return f"{end - min(free, pages) * _PAGE_SIZE:08x}-{end - 1:08x}"
    return None


def read_log(text: str) -> Log:
    """What is in the log, whatever stands before its messages: times, levels, the journal's words."""
    start = text.rfind("Linux version ")
    text = text[max(0, start) :]
    release, cmdline, memory, cpus = (each.search(text) for each in (_RELEASE, _CMDLINE, _MEMORY, _CPUS))
    return Log(
        iomem=_iomem(text),
        release=release[1] if release else "",
        cmdline=cmdline[1].strip() if cmdline else "",
        memory=(number(memory[1], most=1 << 50) or 0) * 1024 if memory else 0,
        cpus=(number(cpus[1] or cpus[2], most=1 << 16) or 0) if cpus else 0,
        efi=_EFI.search(text) is not None,
        locked_down=_LOCKED.search(text) is not None,
    )


def _iomem(text: str) -> str:
    entries: list[E820Entry] = []
    for first, last, words in _ENTRY.findall(text)[:_MOST_ENTRIES]:
        start, end = int(first, 16), int(last, 16) + 1
        if end > start:
            entries.append(
                E820Entry(
                    Range(start, end), _TYPES.get(words.strip()) or E820_NAMES.get(words.strip(), E820Type.RESERVED)
                )
            )
    crash = [(int(first, 16), int(last, 16)) for first, last in _RESERVED.findall(text)[:2]]
    if not crash:
        crash = [
            (int(at) * _MIB, (int(at) + int(size)) * _MIB)
            for size, at in _RESERVING.findall(text)[:2]
            if len(size) < 10 and len(at) < 12
        ]
    lines = []
    for each in sorted(entries, key=lambda one: (one.range.start, one.range.end)):
        lines.append(iomem_of_e820([each]))
        lines += [
            f"  {start:08x}-{end - 1:08x} : Crash kernel\n"
            for start, end in sorted(crash)
            if start < end and each.type is E820Type.RAM and each.range.contains(Range(start, end))
        ]
    return "".join(lines)
