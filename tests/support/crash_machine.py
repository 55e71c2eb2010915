"""A made-up computer with a crash reservation: its /proc and /sys as a folder, which kexec-tools and we both read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["IOMEM", "CrashMachine"]

PAGE_OFFSET = 0xFFFF_9C54_4000_0000
TEXT = 0xFFFF_FFFF_9920_0000

# Odd borders, a low and a high reservation, what is nested and what is no RAM.
IOMEM = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000a0000-000bffff : PCI Bus 0000:00
000c0000-000c99ff : Video ROM
000f0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-7ffd6fff : System RAM
  29000000-2a002146 : Kernel code
  2a200000-2aac5fff : Kernel rodata
  2ac00000-2af8e8bf : Kernel data
  57000000-66ffffff : Crash kernel
7ffd7000-7ffd7fff : ACPI Tables
7ffd8000-7ffdffff : ACPI Non-volatile Storage
7ffe0000-7fffffff : Reserved
80000000-febfffff : PCI Bus 0000:00
  b0000000-bfffffff : PCI ECAM 0000 [bus 00-ff]
    b0000000-bfffffff : Reserved
  fd000000-fdffffff : 0000:00:02.0
fec00000-fec003ff : IOAPIC 0
fee00000-fee00fff : Local APIC
fffc0000-ffffffff : Reserved
100000000-47fffffff : System RAM
  45f000000-46effffff : Crash kernel
480000000-49fffffff : Persistent Memory (legacy)
  480000000-49fffffff : namespace0.0
4a0000000-4bfffffff : Persistent Memory
  4a8000000-4afffffff : dax0.0
    4a8000000-4afffffff : System RAM (kmem)
8000000000-8fffffffff : PCI Bus 0000:00
  8000000000-803fffffff : virtio0
    8000000000-803fffffff : System RAM (virtio_mem)
"""

_TYPES = (
    *("System RAM", "Reserved", "ACPI Tables", "ACPI Non-volatile Storage"),
    *("Persistent Memory (legacy)", "Persistent Memory"),
)


@dataclass(frozen=True, slots=True)
class CrashMachine:
    """What the files say; `write` makes them. Notes are (physical address, bytes), None for an absent processor."""

    iomem: str = IOMEM
    notes: Sequence[tuple[int, int] | None] = ((0x47FC18000, 368), (0x47FC58000, 368), None, (0x47FCD8000, 368))
    vmcoreinfo: tuple[int, int] | None = (0x1_0F92_8000, 0x1024)
    elfcorehdr_size: int | None = 524288
    cmdline: str = "BOOT_IMAGE=/vmlinuz root=/dev/vda1 crashkernel=256M quiet"
    text: int = TEXT  # where the kernel is mapped
    kallsyms: bool = True
    systab: str = ""  # of EFI
    rsdp: int = 0  # in the running kernel's boot_params

    def write(self, root: Path) -> Path:
        """The files below `root`, which is returned."""
        _put(root, "proc/iomem", self.iomem)
        _put(root, "proc/cmdline", self.cmdline + "\n")
        _put(root, "proc/kcore", _kcore(self.text))
        _put(root, "proc/kallsyms", _kallsyms(self.text) if self.kallsyms else "")
        _put(root, "proc/mounts", "proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n")
        _put(root, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu pdpe1gb\n")
        _put(root, "proc/meminfo", "MemTotal:       16375296 kB\n")
        _put(root, "proc/sys/kernel/osrelease", "6.12.0\n")
        _put(root, "proc/self/mounts", "proc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n")
        _put(root, "sys/kernel/kexec_loaded", "0\n")
        _put(root, "sys/kernel/kexec_crash_loaded", "0\n")
        _put(root, "sys/kernel/kexec_crash_size", "268435456\n")
        self._write_processors(root)
        self._write_firmware(root)
        return root

    def _write_processors(self, root: Path) -> None:
        if self.vmcoreinfo is not None:
            _put(root, "sys/kernel/vmcoreinfo", "%x %x\n" % self.vmcoreinfo)  # noqa: UP031 - it is a tuple
        if self.elfcorehdr_size is not None:
            _put(root, "sys/kernel/crash_elfcorehdr_size", f"{self.elfcorehdr_size}\n")
        _put(root, "sys/devices/system/cpu/possible", f"0-{len(self.notes) - 1}\n")
        _put(root, "sys/devices/system/cpu/online", "0\n")
        for number, note in enumerate(self.notes):
            folder = f"sys/devices/system/cpu/cpu{number}"
            (root / folder).mkdir(parents=True)
            if note is not None:
                _put(root, f"{folder}/crash_notes", f"{note[0]:x}\n")
                _put(root, f"{folder}/crash_notes_size", f"{note[1]}\n")

    def _write_firmware(self, root: Path) -> None:
        number = 0
        for line in self.iomem.splitlines():
            where, _, name = line.partition(" : ")
            if not line.startswith(" ") and name in _TYPES:
                start, end = where.split("-")
                folder = f"sys/firmware/memmap/{number}"
                _put(root, f"{folder}/start", f"0x{int(start, 16):x}\n")
                _put(root, f"{folder}/end", f"0x{int(end, 16):x}\n")
                _put(root, f"{folder}/type", f"{name}\n")
                number += 1
        page = bytearray(4096)
        page[0x70:0x78] = self.rsdp.to_bytes(8, "little")
        _put(root, "sys/kernel/boot_params/data", bytes(page))
        if self.systab:
            _put(root, "sys/firmware/efi/systab", self.systab)


def _put(root: Path, name: str, content: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _kallsyms(text: int) -> str:
    symbols = [(0, "A fixed_percpu_data"), (text, "T _stext"), (text, "T _text"), (text + 0x400, "t bad_address")]
    return "".join(f"{address:016x} {name}\n" for address, name in symbols)


def _kcore(text: int) -> bytes:
    """The headers of /proc/kcore: a note, the kernel's text, vmalloc space, modules, two pieces of the direct map."""
    loads = [
        (0xFFFF_B5A1_C000_0000, 0x1FFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF),
        (text, 0x1E0_0000, 0x2920_0000),
        (0xFFFF_FFFF_C000_0000, 0x3F00_0000, 0xFFFF_FFFF_FFFF_FFFF),
        (PAGE_OFFSET + 0x1000, 0x9E000, 0x1000),
        (PAGE_OFFSET + 0x10_0000, 0x7FED_7000, 0x10_0000),
        (PAGE_OFFSET + 0x1_0000_0000, 0x3_8000_0000, 0x1_0000_0000),
    ]
    notes = 64 + 56 * (1 + len(loads))
    note = struct.pack("<III8s", 5, 336, 1, b"CORE") + bytes(336)  # NT_PRSTATUS
    phdrs = struct.pack("<IIQQQQQQ", 4, 0, notes, 0, 0, len(note), 0, 0)
    for vaddr, size, paddr in loads:
        offset = (vaddr & 0x7FFF_FFFF_FFFF) + 0x2000
        phdrs += struct.pack("<IIQQQQQQ", 1, 7, offset, vaddr, paddr, size, size, 4096)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    ehdr = ident + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1 + len(loads), 0, 0, 0)
    return (ehdr + phdrs + note).ljust(0x2000, b"\0")
