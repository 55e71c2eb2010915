"""A crash image's own parts in kexec_file_load: arch/x86/kernel/crash.c, and crash_prepare_elf64_headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.dump.facts import KernelText
from warmboot.formats.elf import ET_CORE, PF_RWX, PHDR_SIZE, PT_LOAD, PT_NOTE, ProgramHeader, pack_headers
from warmboot.kernel.kexec_buf import KexecBuf, kexec_add_buffer
from warmboot.memmap import E820Entry, E820Type, Range, subtract
from warmboot.memmap.ranges import intersect
from warmboot.uapi import PAGE_SIZE, Readable

if TYPE_CHECKING:
    from warmboot.kernel.kimage import FileParts, Kimage
    from warmboot.kernel.state import KernelState
    from warmboot.memmap import Facts

__all__ = ["crash_load_segments", "crash_setup_memmap_entries", "prepare_elf_headers"]

_LOW = Range(0, 1 << 20)  # always reserved, and never dumped
_ALIGN = 4096  # ELF_CORE_HEADER_ALIGN
# Where the kernel and physical memory are mapped without address randomization, unless the kernel tells where they are.
_START_KERNEL_MAP, _PAGE_OFFSET, _PAGE_OFFSET_LA57 = 0xFFFF_FFFF_8000_0000, 0xFFFF_8880_0000_0000, 0xFF11_0000_0000_0000
_PHYSICAL_START = 0x100_0000  # CONFIG_PHYSICAL_START


def prepare_elf_headers(kernel: KernelState) -> bytes:
    """The ELF core headers: notes of the processors and of vmcoreinfo, the kernel's text, and all RAM to be dumped.

    There is room for a note of each possible processor; where those that are not present have theirs is not known.
    """
    facts = kernel.facts
    possible = kernel.possible_cpus or facts.cpus
    notes = list(kernel.crash_notes)[:possible]
    absent = [Range(0, notes[0].size if notes else 0)] * (possible - len(notes))
    if not kernel.crash_notes or kernel.profile.notes_of_possible_cpus:
        notes, absent = [*notes, *absent], []
    notes.append(kernel.vmcoreinfo_note or Range(0, 0))
    phdrs = [ProgramHeader(PT_NOTE, 0, each.start, 0, each.start, each.size, each.size, 0) for each in notes]
    text = kernel.text or _text_of(facts)
    phdrs.append(ProgramHeader(PT_LOAD, PF_RWX, text.paddr, text.vaddr, text.paddr, text.size, text.size, 0))
    offset = kernel.page_offset or (_PAGE_OFFSET_LA57 if facts.la57 else _PAGE_OFFSET)
    taken = [_LOW, *facts.crash_kernel]
    for each in (piece for ram in facts.system_ram for piece in subtract([ram], taken)):  # neighbours stay apart
        phdrs.append(
            ProgramHeader(PT_LOAD, PF_RWX, each.start, offset + each.start, each.start, each.size, each.size, 0)
        )
    size = len(packed := pack_headers(ET_CORE, phdrs)) + PHDR_SIZE * len(absent)
    return packed.ljust(-(-size // _ALIGN) * _ALIGN, b"\0")


def _text_of(facts: Facts) -> KernelText:
    """By /proc/iomem, which does not show the memory that the kernel's text ends with (brk)."""
    where = facts.kernel_image
    start, end = (where[0].start, where[-1].end) if where else (_PHYSICAL_START, _PHYSICAL_START)
    return KernelText(_START_KERNEL_MAP + _PHYSICAL_START, start, end - start)


def crash_load_segments(kernel: KernelState, image: Kimage, parts: FileParts, grow_to: int) -> None:
    """The segment of the headers, at the start of the reservation, with room to grow to so many bytes.

    Raises KexecError.
    """
    data = prepare_elf_headers(kernel)
    room = max(grow_to, len(data))
    kbuf = KexecBuf("elfcorehdr", Readable.of(data), len(data), room, _ALIGN)
    parts.elf_headers = kexec_add_buffer(kernel, image, kbuf)
    parts.elf_headers_change = bool(grow_to)
    parts.elf_headers_room = Range(kbuf.mem, kbuf.mem + room)


def crash_setup_memmap_entries(kernel: KernelState, elf_headers: Range) -> list[E820Entry]:
    """The memory map of the crash kernel: the first MiB, what is no RAM, and the reservations."""
    facts = kernel.facts
    low = [E820Entry(each, E820Type.RAM) for each in intersect(facts.system_ram, [_LOW])]
    others = [
        entry for kind in (E820Type.ACPI, E820Type.NVS, E820Type.RESERVED) for entry in facts.e820 if entry.type is kind
    ]
    reserved = [E820Entry(each, E820Type.RAM) for each in (kernel.crash.crashk_low_res,) if each is not None]
    crashk_res = [kernel.crash.crashk_res] if kernel.crash.crashk_res else []
    high = [E820Entry(each, E820Type.RAM) for each in subtract(crashk_res, [elf_headers]) if each.size >= PAGE_SIZE]
    return [*low, *others, *reserved, *high]
