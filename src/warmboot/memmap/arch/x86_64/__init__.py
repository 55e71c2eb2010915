"""x86_64."""

from __future__ import annotations

from warmboot.memmap.arch.interface import MemmapArch
from warmboot.memmap.ranges import Range
from warmboot.memmap.reservation import CrashReservation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.memmap.facts import Facts

__all__ = ["ARCH"]


class _X86:
    page_sizes = (4096,)
    physical_limit = 1 << 52
    # Linux 5.13 and later, and Debian's older kernels through stable fixes, keep the first MiB.
    never_free = Range(0, 1 << 20)
    # arch/x86/include/asm/crash_reserve.h; arch/x86/kernel/setup.c before Linux 6.9
    crash_reservation = CrashReservation(align=16 << 20, low_max=1 << 32, high_max=64 << 40, low_size=256 << 20)

    def plain(self, memory: int, *, release: str, cpus: int, crashkernel: int, cmdline: str) -> Facts:
        from warmboot.memmap.arch.x86_64.pc import pc  # noqa: PLC0415 - facts import this module

        return pc(memory, release=release, cpus=cpus, crashkernel=crashkernel, cmdline=cmdline)


ARCH: MemmapArch = _X86()
