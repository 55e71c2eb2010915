"""x86_64."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.kernel import CpuState
from warmboot.memmap import Range
from warmboot.rehearsal.arch.interface import RehearsalArch
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

__all__ = ["ARCH"]


class _X86:
    """See RehearsalArch."""

    direct_map = 0xFFFF_8880_0000_0000  # PAGE_OFFSET with 4-level page tables
    kernel_text = (0xFFFF_FFFF_8100_0000, Range(16 << 20, 64 << 20))  # __START_KERNEL

    def demo_kernel(self, regions: Sequence[tuple[int, int]] = ()) -> bytes:
        return demo_kernel(regions)

    def relocated_to(self, state: CpuState) -> int:
        return state.rbx  # see relocate_kernel.S


ARCH: RehearsalArch = _X86()
