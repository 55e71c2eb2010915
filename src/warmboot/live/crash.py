"""What the kernel of this computer tells of a dump: processors' notes, vmcoreinfo, its text, the memory to dump."""

from __future__ import annotations

import os

from warmboot.dump.facts import DumpFacts, KernelText
from warmboot.errors import InputError, RefusedError
from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE, PT_LOAD, header, program_headers
from warmboot.live.files import read, text, under
from warmboot.live.iomem import resources
from warmboot.live.status import crash_elfcorehdr_size
from warmboot.memmap.entries import E820_NAMES, E820Entry, E820Type
from warmboot.memmap.ranges import Range, subtract

__all__ = ["read_dump_facts"]

_HINT = "run it as root on a kernel with CONFIG_CRASH_DUMP, CONFIG_PROC_KCORE and CONFIG_KALLSYMS; or let the kernel "
_HINT += "make the dump's headers itself: load the crash kernel by kexec_file_load (-s)"

_TOLD = (E820Type.RESERVED, E820Type.ACPI, E820Type.NVS, E820Type.PMEM, E820Type.PRAM)  # to the crash kernel
_OTHERS = {name: kind for name, kind in E820_NAMES.items() if kind in _TOLD}
_CRASH_KERNEL, _GART = "Crash kernel", "GART"

_ELF64 = b"\x7fELF\x02\x01\x01"
_PUD_SIZE = 1 << 30  # bytes: the direct map begins at a multiple of it (CONFIG_RANDOMIZE_MEMORY)
_TEXT_ALIGN = 1 << 20
_START_KERNEL_MAP, _KERNEL_IMAGE_SIZE = 0xFFFF_FFFF_8000_0000, 1 << 30  # the most it is, with CONFIG_RANDOMIZE_BASE
_PAGE = 4096
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
    )


def _others(named: list[tuple[Range, str]]) -> tuple[E820Entry, ...]:
    found: list[E820Entry] = []
    for where, name in named:
        if name in _OTHERS and not any(each.range.overlaps(where) for each in found):
            found.append(E820Entry(where, _OTHERS[name]))
    return tuple(sorted(found, key=lambda each: each.range))


def _notes(root: str) -> tuple[Range, ...]:
    """One for each processor that is present; those that may be added later have none yet."""
    found = []
    for number in _possible(root):
        folder = under(root, f"sys/devices/system/cpu/cpu{number}")
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
        first, _, last = part.partition("-")
        try:
            numbers += range(int(first), int(last or first) + 1)
        except ValueError:
            raise InputError(f"{path}: {part[:40]!r} is no range of processors", hint=_HINT) from None
    return numbers


def _vmcoreinfo(root: str) -> Range | None:
    found = _numbers(under(root, "sys/kernel/vmcoreinfo"), 16, 2)
    return None if found is None else Range(found[0], found[0] + found[1])


def _numbers(path: str, base: int, count: int) -> tuple[int, ...] | None:
    """The numbers in a file, None where there is no such file. Raises InputError."""
    try:
        words = read(path).split()
        if len(words) < count:
            raise ValueError
        return tuple(int(word, base) for word in words[:count])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=_HINT) from None
    except ValueError:
        raise InputError(f"{path}: not the {count} numbers that belong there", hint=_HINT) from None


def _mapped(root: str, named: list[tuple[Range, str]]) -> tuple[int, KernelText]:
    """The start of the direct map, and the kernel's text, from the headers of /proc/kcore."""
    path = under(root, "proc/kcore")
    loads = _kcore(path)
    code = next((where for where, name in named if name == "Kernel code"), None)
    if code is None:
        raise InputError(f"{under(root, 'proc/iomem')}: no 'Kernel code'", hint=_HINT)
    stext = _stext(root)
    image = Range(_START_KERNEL_MAP, _START_KERNEL_MAP + _KERNEL_IMAGE_SIZE)
    with_stext = (each for each in loads if each.start <= stext < each.end)
    kernel = next(with_stext, None) or next((each for each in loads if image.contains(each)), None)
    if kernel is None:
        raise InputError(f"{path}: the kernel's text is in none of its {len(loads)} pieces", hint=_HINT)
    vaddr = kernel.start // _TEXT_ALIGN * _TEXT_ALIGN
    size = -(-(kernel.end - vaddr) // _PAGE) * _PAGE
    page_offset = min(each.start for each in loads) // _PUD_SIZE * _PUD_SIZE
    return page_offset, KernelText(vaddr, code.start, size)


def _kcore(path: str) -> list[Range]:
    """The virtual ranges of /proc/kcore's PT_LOADs; only its headers are read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(fd, EHDR_SIZE, 0)
            ehdr = header(head) if head.startswith(_ELF64) else None
            if ehdr is None:
                raise InputError(f"{path}: does not begin with an ELF64 header", hint=_HINT)
            table = os.pread(fd, ehdr.phnum * PHDR_SIZE, ehdr.phoff)
        finally:
            os.close(fd)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=_HINT) from None
    if ehdr.phentsize != PHDR_SIZE or len(table) < ehdr.phnum * PHDR_SIZE:
        raise InputError(f"{path}: its {ehdr.phnum} program headers from {ehdr.phoff:#x} on cannot be read", hint=_HINT)
    return [Range(each.vaddr, each.vaddr + each.memsz) for each in program_headers(table, 64) if each.type == PT_LOAD]


def _stext(root: str) -> int:
    """The virtual address of the symbol _stext, or 0, which no piece of kernel memory has."""
    symbol = b" _stext\n"
    try:
        symbols = read(under(root, "proc/kallsyms"), until=symbol)
    except OSError:
        return 0
    line = symbols.partition(symbol)[0].rpartition(b"\n")[2]
    word = line.split(b" ")[0]
    return int(word, 16) if symbol in symbols and _is_hex(word) else 0


def _is_hex(word: bytes) -> bool:
    return bool(word) and not word.strip(b"0123456789abcdef")
