"""x86_64: the identity mapping of an image, and the jump into the relocation code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from warmboot.kernel import rules
from warmboot.kernel.arch.x86_64.cpu import CpuState
from warmboot.kernel.arch.x86_64.ident_map import IdentityMapping
from warmboot.kernel.arch.x86_64.relocate_kernel import RELOCATE_RETURNED, RELOCATE_STACK, relocate_kernel
from warmboot.kernel.kexec_core import kimage_alloc_table_pages
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.security import Caller
from warmboot.memmap import E820Type, Range, merge
from warmboot.memmap.ranges import intersect
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Segment

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = [
    "PAGE_OFFSET",
    "PAGE_OFFSET_LA57",
    "RELOCATE_KERNEL",
    "machine_kexec",
    "machine_kexec_post_load",
    "machine_kexec_prepare",
]

# Where the running kernel has its relocation code in its own address space: near the start of its text, or where the
# direct mapping has the control page (see Profile.control_page_in_direct_map); as without KASLR. The identity tables
# map the control page there too, so that the code keeps running when cr3 changes.
RELOCATE_KERNEL = 0xFFFF_FFFF_8108_0000
PAGE_OFFSET, PAGE_OFFSET_LA57 = 0xFFFF_8880_0000_0000, 0xFF11_0000_0000_0000

# Linux maps all of this, RAM or not: init_mem_mapping.
_ISA = Range(0, 1 << 20)


def machine_kexec_prepare(kernel: KernelState, image: Kimage, caller: Caller) -> None:
    """Map all RAM, all segments and ACPI's tables onto themselves, by control pages. Raises KexecError: ENOMEM."""
    mapping = _identity_mapping(kernel, image)
    code = image.control_code_page
    tables = [range(code, code + 1)] if kernel.profile.pgd_in_control_code else []
    tables += kimage_alloc_table_pages(kernel, image, mapping.nr_tables - len(tables), caller)
    if sum(map(len, tables)) < mapping.nr_tables:
        raise rules.PAGE_TABLES.refuse("no room for the page tables of the identity mapping")
    image.pgd = tables[0].start
    missing = mapping.nr_page_tables
    while missing:
        frames = kernel.pages.alloc_run(missing)  # no signal stops it
        if not frames:
            raise rules.PAGE_TABLES.refuse("no room for the page tables of the relocation code")
        image.taken.append(frames)
        image.transition_pages.append(frames)
        missing -= len(frames)
    code = _control_code(kernel, image)
    direct = (PAGE_OFFSET_LA57 if kernel.facts.la57 else PAGE_OFFSET) + code
    virtual = direct if kernel.profile.control_page_in_direct_map else RELOCATE_KERNEL
    mapping.write(kernel.memory, tables, image.transition_pages, virtual, code)


def _identity_mapping(kernel: KernelState, image: Kimage) -> IdentityMapping:
    """The tables for `image`: those of RAM and ACPI's tables, made once, unless a segment lies elsewhere."""
    if kernel.identity_mapping is None:
        kernel.identity_mapping = _mapping_with(kernel, [])
    for each in image.segment:
        if not kernel.identity_mapping.covers(each.mem, each.mem + each.memsz):
            return _mapping_with(kernel, image.segment)
    return kernel.identity_mapping


def _mapping_with(kernel: KernelState, segments: Sequence[Segment]) -> IdentityMapping:
    mapping = IdentityMapping(
        la57=kernel.facts.la57, gbpages=kernel.facts.gbpages, only_full=kernel.profile.gbpages_only_when_full
    )
    maxmem = Range(0, kernel.destination_memory_limit + 1)  # RAM from there on is none to Linux: e820__end_of_ram_pfn
    pfn_mapped = [_ISA, *intersect(kernel.facts.system_ram, [maxmem])]  # which a 1 GiB page may cover whole
    for ram in merge(pfn_mapped):
        mapping.add(ram.start, ram.end)
    for segment in segments:
        mapping.add(segment.mem, segment.end)
    for entry in kernel.facts.e820:
        if entry.type in (E820Type.ACPI, E820Type.NVS):
            mapping.add(entry.range.start, entry.range.end)
    return mapping


def machine_kexec_post_load(kernel: KernelState, image: Kimage) -> None:
    """Put the relocation code into the control page."""
    kernel.memory.write(_control_code(kernel, image), relocate_kernel())


def machine_kexec(kernel: KernelState, image: Kimage) -> CpuState:
    """The processor as it enters the relocation code, by its physical address; interrupts are off.

    The relocation code never returns, but for an image with preserve_context: that one ends at the halt at byte
    RELOCATE_RETURNED of the control page, with rax as the image left it.
    """
    code = _control_code(kernel, image)
    kernel.memory.write(code, relocate_kernel())
    stack = code + PAGE_SIZE - RELOCATE_STACK
    kernel.memory.write(stack, (code + RELOCATE_RETURNED).to_bytes(8, "little"))
    return CpuState(
        rip=code,
        cr3=image.pgd << PAGE_SHIFT,
        rsp=stack,
        rdi=image.head,
        rsi=image.pgd << PAGE_SHIFT,
        rdx=image.start,
        rcx=(image.swap_page or 0) << PAGE_SHIFT,
        r8=int(image.preserve_context) | int(kernel.profile.leaves_gdt) << 1,
        cr4=0x1020 if kernel.facts.la57 else 0x20,
        efer=0xD01,  # NX LMA LME SCE: as Linux runs, and as nothing on the way changes it
    )


def _control_code(kernel: KernelState, image: Kimage) -> int:
    """Physical address of the page that the relocation code is put in."""
    return (image.control_code_page + int(kernel.profile.pgd_in_control_code)) << PAGE_SHIFT
