"""This computer as a host: where its memory is, by the rule of kexec-tools.

The memory map is firmware's own, /sys/firmware/memmap, as it was before the running kernel took its part of it. Where
`add_efi_memmap` on the running command line has added to that map, where Xen lies below, or where the kernel has no
such folder (CONFIG_FIRMWARE_MEMMAP), it is that of /proc/iomem.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from warmboot.errors import InputError
from warmboot.live import iomem
from warmboot.live.arch import this_machine
from warmboot.live.files import exists, folder, text, under
from warmboot.memmap.entries import E820_NAMES, E820Entry, E820Type, iomem_of_e820
from warmboot.memmap.ranges import Range, subtract
from warmboot.numbers import number
from warmboot.records import dataclass

__all__ = ["Computer", "firmware_memmap_text", "hypervisor", "iomem_memmap", "memory_map", "on_xen", "read_computer"]

_MEMMAP = "sys/firmware/memmap"
_END_OF_INTERRUPT_TABLE = 0x400  # the real mode's, which a kernel may still call the firmware with
_HINT = "run it on Linux, as root, with /proc and /sys mounted"


@dataclass(frozen=True, slots=True)
class Computer:
    """What placement asks of a host (placement.host.Host). All addresses are physical."""

    e820: Sequence[E820Entry]  # sorted by start
    crash_kernel: Sequence[Range]  # lowest first; crash kernels go to the last
    la57: bool  # whether the running kernel uses 5-level page tables
    rsdp: int  # the ACPI root pointer, 0 where it has to be searched for

    @property
    def machine(self) -> str:
        """This computer's architecture, as `uname -m` names it."""
        return os.uname().machine

    @property
    def system_ram(self) -> Sequence[Range]:
        """RAM, without what another entry of the map says of it."""
        ram = (each.range for each in self.e820 if each.type is E820Type.RAM)
        return subtract(ram, (each.range for each in self.e820 if each.type is not E820Type.RAM))


def read_computer(root: str = "/") -> Computer:
    """This computer; `root` is where proc/ and sys/ are found. Raises InputError where its memory cannot be read."""
    try:
        return Computer(memory_map(root), _crash_kernel(root), _la57(root), this_machine().rsdp(root))
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}", hint=_HINT) from None


def _crash_kernel(root: str) -> list[Range]:
    """Empty where /proc is not mounted: the memory map may be known from /sys all the same."""
    try:
        return [Range(start, end) for start, end in iomem.crash_kernel(root) if end > 1]
    except OSError:
        return []


def _la57(root: str) -> bool:
    try:
        return this_machine().la57(root)
    except OSError:
        return False


def memory_map(root: str = "/") -> list[E820Entry]:
    """The memory map, sorted by start. Raises OSError, or InputError where there is no RAM in it."""
    entries = _firmware_memmap(root) or iomem_memmap(root)
    for index, each in enumerate(entries):
        if each.type is E820Type.RAM and each.range.start < _END_OF_INTERRUPT_TABLE < each.range.end:
            entries[index] = E820Entry(Range(_END_OF_INTERRUPT_TABLE, each.range.end), each.type)
            break
    if not any(each.type is E820Type.RAM for each in entries):
        raise InputError("/proc/iomem: no System RAM", hint="run it as root: others see no addresses")
    return entries


def _firmware_memmap(root: str) -> list[E820Entry] | None:
    """What /sys/firmware/memmap tells, sorted, or None where it is not the whole truth or cannot be understood."""
    added = b"add_efi_memmap" in (_optional(under(root, "proc/cmdline")) or b"")
    if added or on_xen(root) or not exists(under(root, _MEMMAP)):
        return None
    entries = []
    base = under(root, _MEMMAP)
    for name in folder(base):
        start, end, kind = (_optional(f"{base}/{name}/{each}") for each in ("start", "end", "type"))
        first, last = (number((each or b"").decode("ascii", "replace").strip(), 0) for each in (start, end))
        if first is None or last is None or last < first or kind is None:
            return None
        where = Range(first, last + 1)
        # A type that has no name here is reserved.
        entries.append(E820Entry(where, E820_NAMES.get(kind.strip().decode("ascii", "replace"), E820Type.RESERVED)))
    return _without_overlaps(sorted(entries, key=lambda each: each.range))


def firmware_memmap_text(root: str = "/") -> str | None:
    """The same as lines of /proc/iomem, as Facts hold it."""
    entries = _firmware_memmap(root)
    return iomem_of_e820(entries) if entries else None


def iomem_memmap(root: str = "/") -> list[E820Entry]:
    """What /proc/iomem tells, at any depth, in its order. Raises OSError."""
    return [
        E820Entry(Range(start, end), E820_NAMES[name])
        for start, end, name in iomem.resources(root)
        if end > 1 and name in E820_NAMES
    ]


def _without_overlaps(entries: Iterable[E820Entry]) -> list[E820Entry]:
    """Sorted entries, of which two neighbours of one type no longer share a byte: memory that is plugged in anew is
    added to the map a second time."""
    left: list[E820Entry] = []
    for each in entries:
        if left and each.type is left[-1].type and each.range.start < left[-1].range.end:
            last = left[-1].range
            if each.range.start == last.start:
                left[-1] = max(left[-1], each, key=lambda one: one.range.end)
            elif each.range.end > last.end:
                left.append(E820Entry(Range(last.end, each.range.end), each.type))
        else:
            left.append(each)
    return left


def on_xen(root: str = "/") -> bool:
    """Whether Xen runs this computer and the kernel is its paravirtual guest, whose memory is not the machine's."""
    return exists(under(root, "proc/xen")) and text(under(root, "sys/hypervisor/guest_type")) == "PV"


def hypervisor(root: str = "/") -> str | None:
    """How Xen runs this computer, as Facts hold it; None where it does not.

    /sys/hypervisor has the kind of guest since Linux 4.13; a control domain is told by xenfs.
    """
    if text(under(root, "sys/hypervisor/type")) != "xen":
        return None
    kind = text(under(root, "sys/hypervisor/guest_type")) or ""
    control = "control_d" in (text(under(root, "proc/xen/capabilities")) or "").split()
    return " ".join(("xen", *kind.split()[:1], *(["control_d"] if control else [])))


def _optional(path: str) -> bytes | None:
    """An attribute's content: one read, as there are hundreds."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
