"""The crash reservation: where a crash image lives, its protection, its shrinking, and vmcoreinfo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.kernel import rules
from warmboot.kernel.kexec_core import kimage_alloc_control_pages
from warmboot.kernel.kimage import Kimage, KimageType
from warmboot.kernel.security import Caller
from warmboot.memmap import Range
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmboot.kernel.state import KernelState

__all__ = ["CrashReservation", "crash_get_memory_size", "crash_shrink_memory", "kimage_crash_copy_vmcoreinfo"]


_CRASH = KimageType.CRASH  # looked up once: members of enums are slow
_ULONG_MAX = 0xFFFF_FFFF_FFFF_FFFF


class CrashReservation:
    """crashk_res and crashk_low_res; the former is the high one where there are two.

    `start` and `last` are physical, inclusive, and both 0 where nothing is reserved. `shrinks_low` is the profile's
    shrinks_low_reservation.
    """

    def __init__(self, reserved: Sequence[Range], *, shrinks_low: bool = True) -> None:
        self._shrinks_low = shrinks_low
        self.crashk_low_res: Range | None = reserved[0] if len(reserved) > 1 else None
        self._set(reserved[-1] if reserved else None)
        self.protected: bool = False

    def _set(self, crashk_res: Range | None) -> None:
        self.crashk_res = crashk_res
        self.start: int = crashk_res.start if crashk_res else 0
        self.last: int = crashk_res.end - 1 if crashk_res else 0

    @property
    def size(self) -> int:
        """Bytes that are reserved, as sysfs counts them: without the low ones where those cannot shrink."""
        counted = (self.crashk_res, self.crashk_low_res if self._shrinks_low else None)
        return sum(each.size for each in counted if each)

    def arch_kexec_protect_crashkres(self) -> None:
        """Make the reservation read-only."""
        self.protected = True

    def arch_kexec_unprotect_crashkres(self) -> None:
        """Make the reservation writable."""
        self.protected = False

    def check_writable(self) -> None:
        """A kernel that writes to a protected reservation takes a page fault: here that is a bug of ours."""
        if self.protected:
            raise RuntimeError("the crash reservation is written while it is protected")

    def shrink_to(self, new_size: int) -> list[Range]:
        """Keep `new_size` bytes, at most as many as there are, and return what is given up."""
        low = self.crashk_low_res if self._shrinks_low and self.crashk_low_res else Range(0, 0)
        if low.size > new_size:
            kept = Range(low.start, low.start + new_size)
            self.crashk_low_res = kept if new_size else None
            given_up = [self._shrink_high(0), Range(kept.end, low.end)]
        else:
            given_up = [self._shrink_high(new_size - low.size)]
        if self._shrinks_low and self.crashk_res is None:
            # crash_shrink_memory: a low reservation that is all there is left becomes crashk_res.
            self._set(self.crashk_low_res)
            self.crashk_low_res = None
        return [each for each in given_up if each.size]

    def _shrink_high(self, new_size: int) -> Range:
        old = self.crashk_res or Range(0, 0)
        kept = Range(old.start, old.start + new_size)
        # Before 6.5 an empty crashk_res stays where it was and ends before its start: even address 0 is outside.
        self._set(kept if new_size or not self._shrinks_low else None)
        return Range(kept.end, old.end)


def crash_get_memory_size(kernel: KernelState) -> int:
    """Bytes that are reserved, as /sys/kernel/kexec_crash_size shows them. Raises KexecError: EBUSY."""
    with kernel.kexec_lock():
        return kernel.crash.size


def crash_shrink_memory(kernel: KernelState, new_size: int) -> None:
    """Give back all but `new_size` bytes of the reservation, rounded up to pages, to the page allocator.

    Raises KexecError: EBUSY, ENOENT with a crash image loaded, EINVAL where it would grow.
    """
    with kernel.kexec_lock():
        if kernel.kexec_crash_image is not None:
            raise rules.CRASH_IMAGE_LOADED.refuse("a crash image is loaded in the reservation")
        old_size = kernel.crash.size
        if kernel.profile.rounds_crash_size_first:
            new_size = page_align(new_size) & _ULONG_MAX  # a size in the last page becomes 0, as in Linux
        if new_size == old_size:
            return
        if new_size > old_size:
            raise rules.CRASH_SIZE.refuse(
                f"{new_size} bytes asked for, {old_size} are reserved", addresses=(new_size, old_size)
            )
        for given_up in kernel.crash.shrink_to(page_align(new_size)):
            kernel.pages.add(given_up)
            kernel.totalram_pages += given_up.size >> PAGE_SHIFT


def kimage_crash_copy_vmcoreinfo(kernel: KernelState, image: Kimage, caller: Caller) -> None:
    """Keep a copy of vmcoreinfo where a crash cannot harm it. Raises KexecError: ENOMEM."""
    if image.type is not _CRASH:
        return
    page = kimage_alloc_control_pages(kernel, image, 0, caller)
    if page is None:
        raise rules.VMCOREINFO.refuse("the crash reservation has no room left for a copy of vmcoreinfo")
    kernel.memory.clear(page << PAGE_SHIFT, PAGE_SIZE)
    kernel.memory.write(page << PAGE_SHIFT, kernel.vmcoreinfo[:PAGE_SIZE])
    image.vmcoreinfo_page = page
