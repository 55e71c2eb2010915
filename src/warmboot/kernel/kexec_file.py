"""kexec_file_load up to the load itself: its checks in Linux's order, and whether there is room for what it would load.

Linux places the image by itself there (kexec_file.c, bzImage64_load); the model looks for the same holes, and asks
`sanity_check_segment_list` of the segments that would result. Nothing is loaded.
"""

from __future__ import annotations

import errno

from warmboot.formats.pe import certificate_table
from warmboot.formats.reading import has, u16, u32
from warmboot.kernel import rules
from warmboot.kernel.kexec import kexec_load_permitted
from warmboot.kernel.kexec_core import do_kimage_alloc_init, sanity_check_segment_list
from warmboot.kernel.kimage import KimageType
from warmboot.kernel.rules import Rule
from warmboot.kernel.security import Caller
from warmboot.kernel.state import KernelState
from warmboot.memmap import Range, subtract
from warmboot.uapi import KexecFileFlags, KexecFileRequest, KexecFlags, Segment, Unreadable, page_align

__all__ = ["FILE_RULES", "kexec_file_load_check"]

_MIN_PURGATORY, _PURGATORY = 0x3000, 24 << 10  # bytes, about: arch/x86/purgatory
_MIN_BOOTPARAM, _BOOTPARAM = 0x3000, 0x1000 + 0x2000  # with EFI's and e820's parts, about
_MIN_KERNEL = 0x100000
_MIN_INITRD = 0x1000000
_ELFCOREHDR = 30  # bytes kept free in a crash kernel's command line: MAX_ELFCOREHDR_STR_LEN

FLAGS = Rule("file_flags", errno.EINVAL, "kexec_file_load", "leave out the flags that this release lacks")
IMAGE = Rule(
    "image_probe",
    errno.ENOEXEC,
    "arch_kexec_kernel_image_probe",
    "kexec_file_load takes a 64-bit bzImage only: give one, or use kexec_load (kexec -c)",
)
SIGNATURE = Rule(
    "kernel_signature",
    errno.EPERM,
    "kimage_validate_signature",
    "give a kernel signed by a key that the running kernel trusts (/proc/keys: .builtin_trusted_keys, .platform)",
)
COMMAND_LINE_END = Rule(
    "command_line_end", errno.EINVAL, "kimage_file_prepare_segments", "the command line must end with a zero byte"
)
COMMAND_LINE = Rule(
    "command_line_length", errno.EINVAL, "bzImage64_load", "make the command line shorter, or take a newer kernel"
)
TRUNCATED = Rule("image_truncated", errno.EINVAL, "bzImage64_load", "copy or download the kernel file again")
HOLE = Rule(
    "memory_hole",
    errno.EADDRNOTAVAIL,
    "kexec_locate_mem_hole",
    "use a smaller initrd, or a larger machine; for a crash kernel reserve more by crashkernel=",
)
FILE_RULES = (FLAGS, IMAGE, SIGNATURE, COMMAND_LINE_END, COMMAND_LINE, TRUNCATED, HOLE)

_FLAGS_SINCE = {
    KexecFileFlags.DEBUG: (6, 8),
    KexecFileFlags.NO_CMA: (6, 17),
    KexecFileFlags.FORCE_DTB: (6, 18),
}


def kexec_file_load_check(
    kernel: KernelState, request: KexecFileRequest, caller: Caller, *, sig_enforce: bool = False
) -> None:
    """Every check that needs no key. Raises KexecError with the errno that Linux returns.

    `sig_enforce` is CONFIG_KEXEC_SIG_FORCE, which no file of a running kernel tells. Whether a signature is one
    that the kernel trusts is not known here: one that is there counts.
    """
    if kernel.facts.kexec_file_load is not None:
        kernel.check_call(rules.CONFIG_KEXEC_FILE, "kexec_file_load", there=kernel.facts.kexec_file_load == "yes")
    on_crash = bool(request.flags & KexecFileFlags.ON_CRASH)
    kexec_load_permitted(kernel, int(KexecFlags.ON_CRASH) if on_crash else 0, caller)
    _check_flags(kernel, request.flags)
    with kernel.kexec_lock():
        kernel.passed(rules.LOCK)
        if request.flags & KexecFileFlags.UNLOAD:
            return
        _probe(kernel, request.kernel)
        _check_signature(kernel, request.kernel, sig_enforce)
        _check_command_line(kernel, request, on_crash)
        _check_room(kernel, request, on_crash)


def _check_flags(kernel: KernelState, flags: int) -> None:
    legal = KexecFileFlags.UNLOAD | KexecFileFlags.ON_CRASH | KexecFileFlags.NO_INITRAMFS
    for flag, since in _FLAGS_SINCE.items():
        if kernel.facts.release_number >= since:
            legal |= flag
    if flags & ~int(legal):
        raise FLAGS.refuse(
            f"flags {flags & ~int(legal):#x} are not known to Linux {kernel.facts.release}",
            addresses=(flags, int(legal)),
        )
    kernel.passed(FLAGS)


def _probe(kernel: KernelState, data: memoryview) -> None:
    """bzImage64_probe: the only loader that x86_64 has."""
    problem = ""
    if data.nbytes < 2 * 512:
        problem = f"the file has {data.nbytes} bytes, too few for a bzImage"
    elif not has(data, 0x202, b"HdrS"):
        problem = "the file is no bzImage"
    elif u16(data, 0x1FE) != 0xAA55:
        problem = "the file has no boot sector's mark"
    elif u16(data, 0x206) < 0x020C:
        problem = f"boot protocol {data[0x207]}.{data[0x206]:02d} is older than 2.12"
    elif not data[0x211] & 1:
        problem = "a zImage, which lies below 1 MiB"
    elif not u16(data, 0x236) & 1:
        problem = "a 32-bit kernel, without the 64-bit entry"
    elif not u16(data, 0x236) & 2:
        problem = "a kernel that cannot be loaded above 4 GiB"
    elif kernel.facts.la57 and not u16(data, 0x236) & 0x20:
        problem = "a kernel that cannot be entered with 5-level page tables, which the running kernel uses"
    if problem:
        raise IMAGE.refuse(problem)
    kernel.passed(IMAGE)


def _check_signature(kernel: KernelState, data: memoryview, sig_enforce: bool) -> None:
    """An unsigned image is refused under lockdown (EPERM), and where signatures are forced (ENODATA)."""
    if certificate_table(data) is None:
        if sig_enforce:
            raise SIGNATURE.refuse("the kernel file has no signature, and this kernel forces one", number=errno.ENODATA)
        if kernel.security.lockdown.locked_down_kexec():
            raise SIGNATURE.refuse(
                f"the kernel file has no signature, and the kernel is locked down ({kernel.security.lockdown.mode})"
            )
    kernel.passed(SIGNATURE)


def _check_command_line(kernel: KernelState, request: KexecFileRequest, on_crash: bool) -> None:
    line, data = request.command_line, request.kernel
    if line and line[-1]:
        raise COMMAND_LINE_END.refuse("the command line does not end with a zero byte")
    kernel.passed(COMMAND_LINE_END)
    setup_size = (1 + (data[0x1F1] or 4)) * 512
    if data.nbytes < setup_size:
        raise TRUNCATED.refuse(f"the file ends after {data.nbytes} bytes, within its setup part of {setup_size}")
    kernel.passed(TRUNCATED)
    limit = u32(data, 0x238)
    size = len(line) + (_ELFCOREHDR if on_crash else 0)
    if size > limit:
        kept = f" with {_ELFCOREHDR} kept for elfcorehdr=" if on_crash else ""
        raise COMMAND_LINE.refuse(
            f"the command line has {len(line)} bytes{kept}, the new kernel takes {limit}", addresses=(size, limit)
        )
    kernel.passed(COMMAND_LINE)


def _check_room(kernel: KernelState, request: KexecFileRequest, on_crash: bool) -> None:
    """Each part in the highest hole that is large enough, then the rules of any image."""
    data = request.kernel
    free = kernel.facts.crash_kernel if on_crash else subtract(kernel.facts.system_ram, kernel.facts.crash_kernel)
    if on_crash and kernel.crash.crashk_res is None:
        raise HOLE.refuse("there is no crash reservation to load into", addresses=(0,))
    segments = []
    parts = [("purgatory", _PURGATORY, _MIN_PURGATORY, 4096), ("boot parameters", _BOOTPARAM, _MIN_BOOTPARAM, 4096)]
    parts.append(("kernel", u32(data, 0x260), _MIN_KERNEL, u32(data, 0x230) or 4096))
    if request.initrd_size and not request.flags & KexecFileFlags.NO_INITRAMFS:
        parts.append(("initrd", request.initrd_size, _MIN_INITRD, 4096))
    for name, size, least, align in parts:
        taken = page_align(size)
        found = _highest(free, taken, least, align)
        if found is None:
            largest = max((each.end - max(each.start, least) for each in free if each.end > least), default=0)
            where = "in the crash reservation" if on_crash else "in RAM"
            raise HOLE.refuse(
                f"no room {where} for the {name}: {taken} bytes in one piece, the largest free range has {largest}",
                addresses=(taken, largest),
            )
        free = subtract(free, [found])
        segments.append(Segment(Unreadable(), 0, found.start, found.size, name))
    kernel.passed(HOLE)
    image = do_kimage_alloc_init(kernel, segments[0].mem, segments)
    if on_crash:
        image.type = KimageType.CRASH
    sanity_check_segment_list(kernel, image)


def _highest(free: list[Range], size: int, least: int, align: int) -> Range | None:
    for each in reversed(free):
        start = (each.end - size) // align * align
        if start >= max(each.start, least):
            return Range(start, start + size)
    return None
