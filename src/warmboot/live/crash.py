"""What the kernel of this computer tells of a dump: processors' notes, vmcoreinfo, its text, the memory to dump."""

from __future__ import annotations

from warmboot.dump.facts import DumpFacts, KernelText
from warmboot.errors import InputError, RefusedError
from warmboot.live.arch import this_machine
from warmboot.live.files import read, text, under
from warmboot.live.iomem import resources
from warmboot.live.kcore import kcore, stext
from warmboot.live.status import crash_elfcorehdr_size
from warmboot.memmap.entries import E820_NAMES, E820Entry, E820Type
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, subtract
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["read_dump_facts"]

_HINT = "run it as root on a kernel with CONFIG_CRASH_DUMP, CONFIG_PROC_KCORE and CONFIG_KALLSYMS; or let the kernel "
_HINT += "make the dump's headers itself: load the crash kernel by kexec_file_load (-s)"

_TOLD = (E820Type.RESERVED, E820Type.ACPI, E820Type.NVS, E820Type.PMEM, E820Type.PRAM)  # to the crash kernel
_OTHERS = {name: kind for name, kind in E820_NAMES.items() if kind in _TOLD}
_CRASH_KERNEL, _GART = "Crash kernel", "GART"

_MOST_CPUS = 1 << 16  # NR_CPUS is 8192 at most
_MAX_NOTE_BYTES = 1024  # of a kernel before 3.11, which does not tell


def read_dump_facts(root: str = "/") -> DumpFacts:
    """The facts; `root` is where proc/ and sys/ are found.

    Raises InputError where something cannot be read or understood, RefusedError where no memory is reserved.
    """
    try:
        lines = resources(root)
    except OSError as error:
        raise InputError(f"{under(root, 'proc/iomem')}: {error.strerror}", hint=_HINT) from None
    named = [(Range(start, end), name) for start, end, name in lines]
    if all(where == Range(0, 1) for where, _ in named):
        raise InputError(
            f"{under(root, 'proc/iomem')}: tells no addresses", hint="run it as root: others see only zeros"
        )
    reserved = tuple(sorted(where for where, name in named if name == _CRASH_KERNEL))
    if not reserved:
        raise RefusedError(
            "no memory is reserved for a crash kernel",
            hint="boot the running kernel with crashkernel=256M (or more) on its command line",
        )
    not_dumped = [*reserved, *(where for where, name in named if name == _GART)]
    page_offset, kernel_text = _mapped(root, named)
    return DumpFacts(
        # Also what is nested: "System RAM (kmem)" in persistent memory, "System RAM (virtio_mem)" in a device.
        ram=tuple(piece for where, name in named if "System RAM" in name for piece in subtract([where], not_dumped)),
        reserved=reserved,
        others=_others(named),
        notes=_notes(root),
        vmcoreinfo=_vmcoreinfo(root),
        text=kernel_text,
        page_offset=page_offset,
        elfcorehdr_size=crash_elfcorehdr_size(root) or 0,
        possible_cpus=len(_possible(root)),
    )


def _others(named: list[tuple[Range, str]]) -> tuple[E820Entry, ...]:
    found: list[E820Entry] = []
    taken = RangeSet()
    for where, name in named:
        if name in _OTHERS and where.size and not taken.overlaps(where.start, where.end):
            taken.add(where.start, where.end)
            found.append(E820Entry(where, _OTHERS[name]))
    return tuple(sorted(found, key=lambda each: each.range))


def _notes(root: str) -> tuple[Range, ...]:
    """One for each processor that is present; those that may be added later have none yet."""
    found = []
    for cpu in _possible(root):
        folder = under(root, f"sys/devices/system/cpu/cpu{cpu}")
        address = _numbers(f"{folder}/crash_notes", 16, 1)
        if address is not None:
            size = _numbers(f"{folder}/crash_notes_size", 10, 1) or (_MAX_NOTE_BYTES,)
            found.append(Range(address[0], address[0] + size[0]))
    if not found:
        path = under(root, "sys/devices/system/cpu/cpu0/crash_notes")
        raise InputError(f"{path}: there is none, and for no other processor", hint=_HINT)
    return tuple(found)


def _possible(root: str) -> list[int]:
    path = under(root, "sys/devices/system/cpu/possible")
    numbers: list[int] = []
    for part in (text(path) or "0").split(","):
        first, dash, last = part.partition("-")
        start, end = number(first, most=_MOST_CPUS), number(last if dash else first, most=_MOST_CPUS)
        if start is None or end is None:
            raise InputError(f"{path}: '{visible(part, most=40)}' is no range of processors", hint=_HINT)
        numbers += range(start, end + 1)
    return numbers


def _vmcoreinfo(root: str) -> Range | None:
    found = _numbers(under(root, "sys/kernel/vmcoreinfo"), 16, 2)
    return None if found is None else Range(found[0], found[0] + found[1])


def _numbers(path: str, base: int, count: int) -> tuple[int, ...] | None:
    """The numbers in a file, None where there is no such file. Raises InputError."""
    try:
        words = read(path).decode("ascii", "replace").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=_HINT) from None
    found = [value for word in words[:count] if (value := number(word, base)) is not None]
    if len(found) < count or sum(found) >> 64:  # an address and a size, where there are two
        raise InputError(f"{path}: not the {count} numbers that belong there", hint=_HINT)
    return tuple(found)


def _mapped(root: str, named: list[tuple[Range, str]]) -> tuple[int, KernelText]:
    """The start of the direct map, and the kernel's text, from the headers of /proc/kcore. Raises InputError."""
    loads = kcore(root)
    code = next((where for where, name in named if name == "Kernel code"), None)
    if code is None:
        raise InputError(f"{under(root, 'proc/iomem')}: no 'Kernel code'", hint=_HINT)
    found = this_machine().kernel_mapping(loads, stext(root))
    if found is None:
        path = under(root, "proc/kcore")
        raise InputError(f"{path}: the kernel's text is in none of its {len(loads)} pieces", hint=_HINT)
    page_offset, image = found
    return page_offset, KernelText(image.start, code.start, image.size)
