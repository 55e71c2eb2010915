"""kexec_file_load up to the load itself: its checks in Linux's order, and whether there is room for what it would load.

Linux places the image by itself there (kexec_file.c and the architecture's loader); the model looks for the same holes,
and asks `sanity_check_segment_list` of the segments that would result. Nothing is loaded.
"""

from __future__ import annotations

import errno

from warmboot.formats import pe
from warmboot.kernel import rules
from warmboot.kernel.arch import Part
from warmboot.kernel.kexec import kexec_load_permitted
from warmboot.kernel.kexec_core import do_kimage_alloc_init, sanity_check_segment_list
from warmboot.kernel.kimage import KimageType
from warmboot.kernel.security import Caller
from warmboot.kernel.state import KernelState
from warmboot.memmap import Range, subtract
from warmboot.uapi import (
    PAGE_SHIFT,
    PAGE_SIZE,
    FileFacts,
    KexecFileFlags,
    KexecFileRequest,
    KexecFlags,
    Segment,
    Unreadable,
    page_align,
)

__all__ = ["kexec_file_load_check"]

_FLAGS_SINCE = {
    KexecFileFlags.DEBUG: (6, 8),
    KexecFileFlags.NO_CMA: (6, 17),
    KexecFileFlags.FORCE_DTB: (6, 18),
}


def kexec_file_load_check(kernel: KernelState, request: KexecFileRequest, caller: Caller) -> None:
    """Every check that needs no key. Raises KexecError with the errno that Linux returns.

    Whether a signature is one that the kernel trusts is not known here: one that is there counts.
    """
    if kernel.facts.kexec_file_load is not None:
        there = kernel.facts.kexec_file_load == "yes"
        kernel.check_call(rules.CONFIG_KEXEC_FILE, "kexec_file_load", there=there)
    on_crash = bool(request.flags & KexecFileFlags.ON_CRASH)
    kexec_load_permitted(kernel, int(KexecFlags.ON_CRASH) if on_crash else 0, caller)
    _check_flags(kernel, request.flags)
    with kernel.kexec_lock():
        kernel.passed(rules.LOCK)
        if request.flags & KexecFileFlags.UNLOAD:
            return
        # kimage_file_prepare_segments
        _read_file(kernel, request.kernel_file or FileFacts(request.kernel.nbytes), "the kernel file")
        kernel.passed(*rules.READ_RULES)
        problem = kernel.arch.file_loader.probe(kernel.facts, request.kernel)
        if problem:
            raise rules.IMAGE.refuse(problem)
        kernel.passed(rules.IMAGE)
        _validate_signature(kernel, request.kernel)
        if not request.flags & KexecFileFlags.NO_INITRAMFS:
            _read_file(kernel, request.initrd_file or FileFacts(request.initrd_size), "the initrd")
        if request.command_line and request.command_line[-1]:
            raise rules.COMMAND_LINE_END.refuse("the command line does not end with a zero byte")
        kernel.passed(rules.COMMAND_LINE_END)
        kernel.arch.file_loader.check(kernel, request, on_crash=on_crash)
        _check_room(kernel, request, on_crash)


def _check_flags(kernel: KernelState, flags: int) -> None:
    legal = KexecFileFlags.UNLOAD | KexecFileFlags.ON_CRASH | KexecFileFlags.NO_INITRAMFS
    for flag, since in _FLAGS_SINCE.items():
        if kernel.facts.release_number >= since:
            legal |= flag
    if flags & ~int(legal):
        raise rules.FILE_FLAGS.refuse(
            f"flags {flags & ~int(legal):#x} are not known to Linux {kernel.facts.release}",
            addresses=(flags, int(legal)),
        )
    kernel.passed(rules.FILE_FLAGS)


def _read_file(kernel: KernelState, file: FileFacts, name: str) -> None:
    """kernel_read_file_from_fd and kernel_read_file, up to the reading itself; security modules and IMA aside."""
    if not file.readable:
        raise rules.FILE_DESCRIPTOR.refuse(f"{name} is not open for reading")
    if not file.regular:
        raise rules.FILE_REGULAR.refuse(f"{name} is no regular file")
    if file.writers:
        raise rules.FILE_WRITERS.refuse(f"{name} is open for writing")
    if file.size <= 0:
        raise rules.FILE_EMPTY.refuse(f"{name} is empty")
    most = kernel.profile.kexec_file_size_max
    if file.size > most:
        raise rules.FILE_SIZE.refuse(
            f"{name} has {file.size} bytes, at most {most} are read", addresses=(file.size, most)
        )
    if file.size >> PAGE_SHIFT > kernel.totalram_pages:  # as vmalloc looks at it
        memory = kernel.totalram_pages * PAGE_SIZE
        raise rules.FILE_MEMORY.refuse(
            f"{name} has {file.size} bytes, the machine {memory} of memory", addresses=(file.size, memory)
        )


def _validate_signature(kernel: KernelState, data: memoryview) -> None:
    """kimage_validate_signature: what is not signed is refused where signatures are forced, and under lockdown."""
    config = kernel.facts.kernel_config or {}
    if config.get("CONFIG_KEXEC_SIG") != "n":  # else nobody looks
        verifies = config.get("CONFIG_KEXEC_BZIMAGE_VERIFY_SIG") != "n"
        signed = verifies and pe.certificate_table(data) is not None
        locked_down = bool(kernel.security.lockdown.locked_down_kexec())
        problem = "the kernel file has no signature" if verifies else "this kernel can verify no signature of a bzImage"
        if not signed and kernel.security.sig_enforce:
            number = errno.ENODATA if verifies else errno.EKEYREJECTED
            raise rules.SIGNATURE.refuse(f"{problem}, and signatures are required", number=number)
        if not signed and locked_down:
            raise rules.SIGNATURE.refuse(f"{problem}, and the kernel is locked down ({kernel.security.lockdown.mode})")
    kernel.passed(rules.SIGNATURE)


def _check_room(kernel: KernelState, request: KexecFileRequest, on_crash: bool) -> None:
    """Each part in the highest hole that is large enough, then the rules of any image."""
    free = kernel.facts.crash_kernel if on_crash else subtract(kernel.facts.system_ram, kernel.facts.crash_kernel)
    if on_crash and kernel.crash.crashk_res is None:
        raise rules.HOLE.refuse("there is no crash reservation to load into", addresses=(0,), hint=rules.CRASH_ROOM)
    segments = []
    loader = kernel.arch.file_loader
    parts = list(loader.parts(request))
    if request.initrd_size and not request.flags & KexecFileFlags.NO_INITRAMFS:
        parts.append(Part("initrd", request.initrd_size, loader.least_initrd, PAGE_SIZE))
    for part in parts:
        taken = page_align(part.size)
        found = _highest(free, taken, part)
        if found is None:
            largest = max((each.end - max(each.start, part.least) for each in free if each.end > part.least), default=0)
            where = "the crash reservation" if on_crash else "RAM"
            raise rules.HOLE.refuse(
                f"no room in {where} for the {part.name}: {taken} bytes in one piece, the largest free range has"
                f" {largest}",
                addresses=(taken, largest),
                hint=rules.CRASH_ROOM if on_crash else "",
            )
        free = subtract(free, [found])
        segments.append(Segment(Unreadable(), 0, found.start, found.size, part.name))
    kernel.passed(rules.HOLE)
    image = do_kimage_alloc_init(kernel, segments[0].mem, segments)
    if on_crash:
        image.type = KimageType.CRASH
    sanity_check_segment_list(kernel, image)


def _highest(free: list[Range], size: int, part: Part) -> Range | None:
    for each in reversed(free):
        start = (each.end - size) // part.align * part.align
        if start >= max(each.start, part.least):
            return Range(start, start + size)
    return None
