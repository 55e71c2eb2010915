"""x86_64: the identity mapping of an image, and the jump into the relocation code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from warmboot.kernel import rules
from warmboot.kernel.arch.x86_64.cpu import CpuState
from warmboot.kernel.arch.x86_64.ident_map import IdentityMapping
from warmboot.kernel.arch.x86_64.kexec_bzimage64 import BzImage64
from warmboot.kernel.arch.x86_64.limits import maxmem
from warmboot.kernel.arch.x86_64.profile import X86Profile, x86_profile
from warmboot.kernel.arch.x86_64.relocate_kernel import RELOCATE_RETURNED, RELOCATE_STACK, relocate_kernel
from warmboot.kernel.kexec_core import kimage_alloc_table_pages
from warmboot.kernel.kimage import Kimage, KimageType
from warmboot.kernel.security import Caller
from warmboot.memmap import E820Type, Facts, Range, merge
from warmboot.memmap.ranges import intersect
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, KexecArch, Segment

if TYPE_CHECKING:
    from warmboot.kernel.profile import Profile
    from warmboot.kernel.state import KernelState

__all__ = ["PAGE_OFFSET", "PAGE_OFFSET_LA57", "RELOCATE_KERNEL", "X86MachineKexec"]

# Where the running kernel has its relocation code in its own address space: near the start of its text, or where the
# direct mapping has the control page (see X86Profile.control_page_in_direct_map); as without KASLR. The identity tables
# map the control page there too, so that the code keeps running when cr3 changes.
RELOCATE_KERNEL = 0xFFFF_FFFF_8108_0000
PAGE_OFFSET, PAGE_OFFSET_LA57 = 0xFFFF_8880_0000_0000, 0xFF11_0000_0000_0000

# Linux maps all of this, RAM or not: init_mem_mapping.
_ISA = Range(0, 1 << 20)


class X86MachineKexec:
    """One running kernel's part that is x86_64's (arch/x86/kernel/machine_kexec_64.c)."""

    architectures: tuple[int, int] = int(KexecArch.X86_64), int(KexecArch.DEFAULT)

    def __init__(self, facts: Facts, profile: Profile) -> None:
        self.profile: X86Profile = x86_profile(profile)
        self.file_loader: BzImage64 = BzImage64(self.profile)
        self.memory_limit: int = maxmem(facts)
        self.control_code_order: int = self.profile.control_code_order
        self._facts = facts
        self._identity_mapping: IdentityMapping | None = None  # of RAM, made at the first load

    def machine_kexec_prepare(self, kernel: KernelState, image: Kimage, caller: Caller) -> None:
        """Map all RAM, all segments and ACPI's tables onto themselves, by control pages. Raises KexecError: ENOMEM."""
        mapping = self._mapping(image)
        code = image.control_code_page
        tables = [range(code, code + 1)] if self.profile.pgd_in_control_code else []
        tables += kimage_alloc_table_pages(kernel, image, mapping.nr_tables - len(tables), caller)
        if sum(map(len, tables)) < mapping.nr_tables:
            hint = rules.CRASH_ROOM if image.type is KimageType.CRASH else ""
            raise rules.PAGE_TABLES.refuse("no room for the page tables of the identity mapping", hint=hint)
        image.pgd = tables[0].start
        missing = mapping.nr_page_tables
        while missing:
            frames = kernel.pages.alloc_run(missing)  # no signal stops it
            if not frames:
                raise rules.PAGE_TABLES.refuse("no room for the page tables of the relocation code")
            image.taken.append(frames)
            image.transition_pages.append(frames)
            missing -= len(frames)
        code = self._control_code(image)
        direct = (PAGE_OFFSET_LA57 if self._facts.la57 else PAGE_OFFSET) + code
        virtual = direct if self.profile.control_page_in_direct_map else RELOCATE_KERNEL
        mapping.write(kernel.memory, tables, image.transition_pages, virtual, code)

    def machine_kexec_post_load(self, kernel: KernelState, image: Kimage) -> None:
        """Put the relocation code into the control page."""
        kernel.memory.write(self._control_code(image), relocate_kernel())

    def machine_kexec(self, kernel: KernelState, image: Kimage) -> CpuState:
        """The processor as it enters the relocation code, by its physical address; interrupts are off.

        The relocation code never returns, but for an image with preserve_context: that one ends at the halt at byte
        RELOCATE_RETURNED of the control page, with rax as the image left it.
        """
        code = self._control_code(image)
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
            r8=int(image.preserve_context)
            | int(self.profile.leaves_gdt) << 1
            | int(not self.profile.pushes_return_address) << 2,
            cr4=0x1020 if self._facts.la57 else 0x20,
            efer=0xD01,  # NX LMA LME SCE: as Linux runs, and as nothing on the way changes it
        )

    def _control_code(self, image: Kimage) -> int:
        """Physical address of the page that the relocation code is put in."""
        return (image.control_code_page + int(self.profile.pgd_in_control_code)) << PAGE_SHIFT

    def _mapping(self, image: Kimage) -> IdentityMapping:
        """The tables for `image`: those of RAM and ACPI's tables, made once, unless a segment lies elsewhere."""
        if self._identity_mapping is None:
            self._identity_mapping = self._mapping_with([])
        covers = self._identity_mapping.covers
        for each in image.segment:
            if not covers(each.mem, each.mem + each.memsz):
                return self._mapping_with(image.segment)
        return self._identity_mapping

    def _mapping_with(self, segments: Sequence[Segment]) -> IdentityMapping:
        facts = self._facts
        mapping = IdentityMapping(la57=facts.la57, gbpages=facts.gbpages, only_full=self.profile.gbpages_only_when_full)
        known = Range(0, self.memory_limit)  # RAM from there on is none to Linux: e820__end_of_ram_pfn
        pfn_mapped = [_ISA, *intersect(facts.system_ram, [known])]  # which a 1 GiB page may cover whole
        for ram in merge(pfn_mapped):
            mapping.add(ram.start, ram.end)
        for segment in segments:
            mapping.add(segment.mem, segment.end)
        for entry in facts.e820:
            if entry.type in (E820Type.ACPI, E820Type.NVS):
                mapping.add(entry.range.start, entry.range.end)
        return mapping
