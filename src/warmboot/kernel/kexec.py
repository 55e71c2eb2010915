"""The system calls kexec_load, its 32-bit entry, reboot by kexec, and crash: their checks and their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warmboot.kernel import rules
from warmboot.kernel.arch import CpuState
from warmboot.kernel.crash_core import crash_save_cpu, crash_save_vmcoreinfo, kimage_crash_copy_vmcoreinfo
from warmboot.kernel.kexec_core import (
    do_kimage_alloc_init,
    kimage_alloc_control_pages,
    kimage_free,
    kimage_load_segment,
    kimage_terminate,
    sanity_check_segment_list,
)
from warmboot.kernel.kimage import Kimage, KimageType
from warmboot.kernel.security import Caller
from warmboot.kernel.state import KernelState
from warmboot.uapi import (
    COMPAT_SEGMENT,
    KEXEC_ARCH_MASK,
    KEXEC_SEGMENT_MAX,
    SEGMENT,
    KexecArch,
    KexecFlags,
    Segment,
    SegmentTable,
)

__all__ = [
    "check_architecture",
    "compat_kexec_load",
    "crash_kexec",
    "do_kexec_load",
    "exchange",
    "kernel_kexec",
    "kexec_load",
    "kexec_load_check",
    "kexec_load_permitted",
]

_U32 = 0xFFFF_FFFF
# ~KEXEC_ARCH_MASK in C: the mask is an unsigned int, so what is above 32 bits is never looked at.
_FLAGS_MASK = ~KEXEC_ARCH_MASK & _U32
# Looked up once, and plain numbers: members of enums, and operations of flags, are slow.
_CRASH = KimageType.CRASH
_DEFAULT = int(KexecArch.DEFAULT)
_ON_CRASH, _PRESERVE_CONTEXT = int(KexecFlags.ON_CRASH), int(KexecFlags.PRESERVE_CONTEXT)
_HOTPLUG = int(KexecFlags.UPDATE_ELFCOREHDR | KexecFlags.CRASH_HOTPLUG_SUPPORT)


def kexec_load_check(kernel: KernelState, nr_segments: int, flags: int, caller: Caller) -> None:
    """Who may load, and whether flags and count are legal: the errno depends on this order. Raises KexecError."""
    if kernel.facts.kexec_load is not None:
        kernel.check_call(rules.CONFIG_KEXEC, "kexec_load", there=kernel.facts.kexec_load == "yes")
    kexec_load_permitted(kernel, flags, caller)

    refusal = kernel.security.kernel_load_data(caller)
    if refusal:
        raise rules.LSM.refuse("a security module forbids kexec_load, whose image has no file", number=refusal)
    kernel.passed(rules.LSM)

    refusal = kernel.security.lockdown.locked_down_kexec()
    if refusal:
        raise rules.LOCKDOWN.refuse(
            f"the kernel is locked down ({kernel.security.lockdown.mode}): unsigned images are forbidden",
            number=refusal,
            hint="" if nr_segments else rules.UNLOAD_BY_FILE,
        )
    kernel.passed(rules.LOCKDOWN)

    illegal = flags & _FLAGS_MASK & ~kernel.kexec_flags
    if illegal:
        raise rules.LEGAL_FLAGS.refuse(
            f"flags {illegal:#x} are not known to {kernel.profile.name}", addresses=(flags, kernel.kexec_flags)
        )
    kernel.passed(rules.LEGAL_FLAGS)

    if nr_segments > KEXEC_SEGMENT_MAX:
        raise rules.SEGMENT_COUNT.refuse(
            f"{nr_segments} segments, at most {KEXEC_SEGMENT_MAX} are allowed",
            addresses=(nr_segments, KEXEC_SEGMENT_MAX),
        )
    kernel.passed(rules.SEGMENT_COUNT)


def kexec_load_permitted(kernel: KernelState, flags: int, caller: Caller) -> None:
    """Whether this caller may load at all; a limit is counted down. Raises KexecError."""
    if not caller.cap_sys_boot:
        raise rules.CAP_SYS_BOOT.refuse("the caller has no CAP_SYS_BOOT")
    kernel.passed(rules.CAP_SYS_BOOT)
    if kernel.kexec_load_disabled:
        raise rules.LOAD_DISABLED.refuse("loading has been disabled until the next boot")
    kernel.passed(rules.LOAD_DISABLED)
    if not kernel.profile.load_limits:
        return
    # The count goes down here, before anything else is looked at: a load that fails later has used one up.
    name = "kexec_load_limit_panic" if flags & _ON_CRASH else "kexec_load_limit_reboot"
    left: int = getattr(kernel, name)
    if left == 0:
        raise rules.LOAD_LIMIT.refuse(f"kernel.{name} is 0: no load of this kind is left")
    if left != -1:
        setattr(kernel, name, left - 1)
    kernel.passed(rules.LOAD_LIMIT)


def kexec_load(
    kernel: KernelState, entry: int, nr_segments: int, table: SegmentTable, flags: int, caller: Caller
) -> None:
    """The 64-bit entry; `entry` is a physical address. Raises KexecError."""
    kexec_load_check(kernel, nr_segments, flags, caller)
    check_architecture(kernel, flags)

    def take_table() -> list[Segment]:
        return _copy_segment_table(kernel, table, nr_segments, SEGMENT.size)

    if kernel.profile.copies_table_first:
        segments = take_table()
        do_kexec_load(kernel, entry, nr_segments, lambda: segments, flags, caller)
    else:
        do_kexec_load(kernel, entry, nr_segments, take_table, flags, caller)


def compat_kexec_load(
    kernel: KernelState, entry: int, nr_segments: int, table: SegmentTable, flags: int, caller: Caller
) -> None:
    """The entry of a 32-bit caller: every number is cut to 32 bits. Raises KexecError.

    The architecture must be named, but any name will do: a caller that knows to give one is trusted with it.
    """
    entry, nr_segments, flags = entry & _U32, nr_segments & _U32, flags & _U32
    kexec_load_check(kernel, nr_segments, flags, caller)
    if flags & KEXEC_ARCH_MASK == _DEFAULT:
        raise _wrong_architecture(kernel, _DEFAULT)
    kernel.passed(rules.ARCHITECTURE)
    segments = [each.as_compat() for each in _copy_segment_table(kernel, table, nr_segments, COMPAT_SEGMENT.size)]
    do_kexec_load(kernel, entry, nr_segments, lambda: segments, flags, caller)


def check_architecture(kernel: KernelState, flags: int) -> None:
    """The 64-bit entry's check of what is named in `flags`. Raises KexecError."""
    architecture = flags & KEXEC_ARCH_MASK
    if architecture not in kernel.arch.architectures:
        raise _wrong_architecture(kernel, architecture)
    kernel.passed(rules.ARCHITECTURE)


def _wrong_architecture(kernel: KernelState, architecture: int) -> rules.KexecError:
    own = kernel.arch.architectures[0]
    return rules.ARCHITECTURE.refuse(
        f"architecture {_architecture(architecture)} in flags, the kernel is {_architecture(own)}",
        addresses=(architecture, own),
    )


def _architecture(number: int) -> str:
    try:
        return KexecArch(number).name
    except ValueError:
        return f"{number >> 16}"


def _copy_segment_table(kernel: KernelState, table: SegmentTable, nr_segments: int, size: int) -> list[Segment]:
    if table.readable is not None and nr_segments * size > table.readable:
        number = 0
        if size == COMPAT_SEGMENT.size and kernel.profile.compat_table_fault_is_no_errno:
            number = -(size - table.readable % size)
        raise rules.SEGMENT_TABLE.refuse(
            f"only {table.readable} of {nr_segments * size} bytes of the segment array can be read",
            addresses=(table.readable, nr_segments * size),
            number=number,
        )
    kernel.passed(rules.SEGMENT_TABLE)
    return table.take(nr_segments)


def do_kexec_load(
    kernel: KernelState,
    entry: int,
    nr_segments: int,
    take_table: Callable[[], Sequence[Segment]],
    flags: int,
    caller: Caller,
) -> None:
    """Load, or with no segments unload, under the lock. Raises KexecError.

    A crash image is freed before its successor is looked at, as both live in the same memory: a load that fails
    leaves no crash image. A normal image that is loaded stays until its successor is complete.
    """
    if not kernel.kexec_trylock():
        raise rules.LOCK.refuse("another caller holds kexec's lock")
    try:
        kernel.passed(rules.LOCK)
        on_crash = bool(flags & _ON_CRASH)
        if on_crash and kernel.kexec_crash_image is not None:
            kernel.crash.arch_kexec_unprotect_crashkres()
        if nr_segments == 0:
            kimage_free(kernel, exchange(kernel, None, on_crash=on_crash))
            return
        if on_crash:
            kimage_free(kernel, exchange(kernel, None, on_crash=True))
        image = _kimage_alloc_init(kernel, entry, take_table, flags, caller)
        unused: Kimage | None = image
        try:
            kernel.arch.machine_kexec_prepare(kernel, image, caller)
            kernel.passed(rules.PAGE_TABLES)
            kimage_crash_copy_vmcoreinfo(kernel, image, caller)
            if on_crash:
                kernel.passed(rules.VMCOREINFO)
            for number in range(image.nr_segments):
                kimage_load_segment(kernel, image, number, caller)
            kernel.passed(rules.SOURCE_PAGES, rules.SOURCE_FAULT)
            kimage_terminate(kernel, image)
            kernel.arch.machine_kexec_post_load(kernel, image)
            unused = exchange(kernel, image, on_crash=on_crash)
        finally:
            if on_crash and kernel.kexec_crash_image is not None:
                kernel.crash.arch_kexec_protect_crashkres()
            kimage_free(kernel, unused)
    finally:
        kernel.kexec_unlock()


def exchange(kernel: KernelState, image: Kimage | None, *, on_crash: bool) -> Kimage | None:
    """Install `image`, or nothing, and return what was there."""
    if on_crash:
        old, kernel.kexec_crash_image = kernel.kexec_crash_image, image
    else:
        old, kernel.kexec_image = kernel.kexec_image, image
    return old


def _kimage_alloc_init(
    kernel: KernelState, entry: int, take_table: Callable[[], Sequence[Segment]], flags: int, caller: Caller
) -> Kimage:
    on_crash = bool(flags & _ON_CRASH)
    if on_crash:
        if not kernel.crash.start <= entry <= kernel.crash.last:
            raise rules.CRASH_ENTRY.refuse(
                f"entry {entry:#x} is outside the crash reservation"
                + (f" ({kernel.crash.crashk_res})" if kernel.crash.crashk_res else ", which does not exist"),
                addresses=(entry, kernel.crash.start, kernel.crash.last),
            )
        kernel.passed(rules.CRASH_ENTRY)
    image = do_kimage_alloc_init(kernel, entry, list(take_table()))
    image.preserve_context = bool(flags & _PRESERVE_CONTEXT)
    if on_crash:
        image.control_page = kernel.crash.start
        image.type = _CRASH
        image.hotplug_support = bool(flags & _HOTPLUG)
    sanity_check_segment_list(kernel, image)
    kernel.pages.aim_at(image.destinations(), image.blank())
    try:
        control_code_page = kimage_alloc_control_pages(kernel, image, kernel.arch.control_code_order, caller)
        if control_code_page is None:
            raise rules.CONTROL_PAGES.refuse(
                "no room for the control code buffer", hint=rules.CRASH_ROOM if on_crash else ""
            )
        image.control_code_page = control_code_page
        kernel.passed(rules.CONTROL_PAGES)
        if not on_crash:
            image.swap_page = kimage_alloc_control_pages(kernel, image, 0, caller)
            if image.swap_page is None:
                raise rules.SWAP_PAGE.refuse("no room for the swap page")
            kernel.passed(rules.SWAP_PAGE)
    except rules.KexecError:
        kimage_free(kernel, image)
        raise
    return image


def kernel_kexec(kernel: KernelState) -> CpuState:
    """reboot(LINUX_REBOOT_CMD_KEXEC): the processor as it enters the loaded image's relocation code.

    Raises KexecError: EBUSY, or EINVAL where nothing is loaded.
    """
    with kernel.kexec_lock():
        if kernel.kexec_image is None:
            raise rules.NOTHING_LOADED.refuse("no image is loaded")
        return kernel.arch.machine_kexec(kernel, kernel.kexec_image)


def crash_kexec(kernel: KernelState, prstatus: Sequence[bytes] = ()) -> CpuState | None:
    """What panic does: the processor as it enters the crash image, or None where none is loaded or kexec is busy.

    `prstatus` are the registers of each processor at that moment: they and vmcoreinfo are kept in their notes first.
    """
    if not kernel.kexec_trylock():
        return None
    try:
        image = kernel.kexec_crash_image
        if image is None:
            return None
        crash_save_vmcoreinfo(kernel)
        for cpu, each in enumerate(prstatus):
            crash_save_cpu(kernel, cpu, each)
        return kernel.arch.machine_kexec(kernel, image)
    finally:
        kernel.kexec_unlock()
