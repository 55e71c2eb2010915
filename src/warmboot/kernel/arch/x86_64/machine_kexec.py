"""x86_64: the identity mapping of an image, and the jump into the relocation code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.cpu import CpuState
from warmboot.kernel import rules
from warmboot.kernel.arch.x86_64.ident_map import IdentityMapping
from warmboot.kernel.kexec_core import kimage_alloc_control_pages
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.security import Caller
from warmboot.memmap import E820Type, Range, merge
from warmboot.purgatory import RELOCATE_RETURNED, RELOCATE_STACK, stub
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = ["RELOCATE_KERNEL", "machine_kexec", "machine_kexec_post_load", "machine_kexec_prepare"]

# Where the running kernel has its relocation code in its own address space: near the start of its text, as without
# KASLR. The identity tables map the control page there too, so that the code keeps running when cr3 changes.
RELOCATE_KERNEL = 0xFFFF_FFFF_8108_0000

# Linux maps all of this, RAM or not: init_mem_mapping.
_ISA = Range(0, 1 << 20)


def machine_kexec_prepare(kernel: KernelState, image: Kimage, caller: Caller) -> None:
    """Map all RAM, all segments and ACPI's tables onto themselves, by control pages. Raises KexecError: ENOMEM."""

    def control_page() -> int:
        frame = kimage_alloc_control_pages(kernel, image, 0, caller)
        if frame is None:
            raise rules.PAGE_TABLES.refuse("no room for the page tables of the identity mapping")
        return frame

    def any_page() -> int:
        frame = kernel.pages.alloc_pages(0)  # not by kimage_alloc_pages: no signal stops it
        if frame is None:
            raise rules.PAGE_TABLES.refuse("no room for the page tables of the relocation code")
        image.transition_pages.append(frame)
        return frame

    image.pgd = image.control_code_page if kernel.profile.pgd_in_control_code else control_page()
    mapping = IdentityMapping(
        kernel.memory,
        image.pgd,
        control_page,
        la57=kernel.facts.la57,
        gbpages=kernel.facts.gbpages,
        only_full=kernel.profile.gbpages_only_when_full,
    )
    for ram in merge([_ISA, *kernel.facts.system_ram]):  # pfn_mapped, which a 1 GiB page may cover whole
        mapping.add(ram.start, ram.end)
    for segment in image.segment:
        mapping.add(segment.mem, segment.end)
    for entry in kernel.facts.e820:
        if entry.type in (E820Type.ACPI, E820Type.NVS):
            mapping.add(entry.range.start, entry.range.end)
    mapping.allocate_from(any_page)
    mapping.add_page(RELOCATE_KERNEL, _control_code(kernel, image))


def machine_kexec_post_load(kernel: KernelState, image: Kimage) -> None:
    """Put the relocation code into the control page."""
    kernel.memory.write(_control_code(kernel, image), stub("relocate_kernel"))


def machine_kexec(kernel: KernelState, image: Kimage) -> CpuState:
    """The processor as it enters the relocation code, by its physical address; interrupts are off.

    The relocation code never returns, but for an image with preserve_context: that one ends at the halt at byte
    RELOCATE_RETURNED of the control page, with rax as the image left it.
    """
    code = _control_code(kernel, image)
    kernel.memory.write(code, stub("relocate_kernel"))
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
        r8=int(image.preserve_context),
        cr4=0x1020 if kernel.facts.la57 else 0x20,
    )


def _control_code(kernel: KernelState, image: Kimage) -> int:
    """Physical address of the page that the relocation code is put in."""
    return (image.control_code_page + int(kernel.profile.pgd_in_control_code)) << PAGE_SHIFT
