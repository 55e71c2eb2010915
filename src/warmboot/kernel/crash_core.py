"""What sysfs asks of the crash reservation, and the copy of vmcoreinfo for a crash (kernel/crash_core.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.formats.elf import pack_note
from warmboot.kernel import rules
from warmboot.kernel.kexec_core import kimage_alloc_control_pages
from warmboot.kernel.kimage import Kimage, KimageType
from warmboot.kernel.security import Caller
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, page_align

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = [
    "crash_get_memory_size",
    "crash_save_cpu",
    "crash_save_vmcoreinfo",
    "crash_shrink_memory",
    "kimage_crash_copy_vmcoreinfo",
]


_CRASH = KimageType.CRASH  # looked up once: members of enums are slow
_NT_PRSTATUS, _NT_VMCOREINFO = 1, 0
_FINAL = bytes(12)  # final_note: an empty header
_ULONG_MAX = 0xFFFF_FFFF_FFFF_FFFF


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


def crash_save_cpu(kernel: KernelState, cpu: int, prstatus: bytes) -> None:
    """Keep a processor's registers, as struct elf_prstatus has them, in its per-cpu note; one without room has none."""
    if cpu < len(kernel.crash_notes):
        note = pack_note(b"CORE\0", _NT_PRSTATUS, prstatus) + _FINAL
        where = kernel.crash_notes[cpu]
        if len(note) <= where.size:
            kernel.memory.write(where.start, note)


def crash_save_vmcoreinfo(kernel: KernelState) -> None:
    """Write the note with vmcoreinfo, from the copy in the reservation where an image was loaded (since 4.13)."""
    where, image = kernel.vmcoreinfo_note, kernel.kexec_crash_image
    if where is None:
        return
    data = kernel.vmcoreinfo
    if image is not None and image.vmcoreinfo_page is not None:
        data = kernel.memory.read(image.vmcoreinfo_page << PAGE_SHIFT, len(data))
    note = pack_note(b"VMCOREINFO\0", _NT_VMCOREINFO, data) + _FINAL
    if len(note) <= where.size:
        kernel.memory.write(where.start, note)
