"""kexec_file_load: the kernel reads the files, places the image by itself, and loads it (kernel/kexec_file.c).

Linux brings a purgatory of its own, a part of the running kernel that nobody has here. Its place is kept, as that
decides where all else lies; what runs is ours, from control pages, with the digests of the same segments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.kernel import rules
from warmboot.kernel.crash_core import kimage_crash_copy_vmcoreinfo
from warmboot.kernel.ima import KEXEC_INITRAMFS_CHECK, KEXEC_KERNEL_CHECK, ima_read_file
from warmboot.kernel.kexec import exchange, kexec_load_permitted
from warmboot.kernel.kexec_core import (
    do_kimage_alloc_init,
    kimage_alloc_control_pages,
    kimage_free,
    kimage_load_segment,
    kimage_terminate,
    sanity_check_segment_list,
)
from warmboot.kernel.kexec_sig import kimage_validate_signature
from warmboot.kernel.kho import kho_fill_kimage
from warmboot.kernel.kimage import FileParts, Kimage, KimageType
from warmboot.uapi import (
    PAGE_SHIFT,
    PAGE_SIZE,
    FileFacts,
    KexecFileFlags,
    KexecFileRequest,
    KexecFlags,
    Readable,
    page_align,
)

if TYPE_CHECKING:
    from warmboot.kernel.security import Caller
    from warmboot.kernel.state import KernelState

__all__ = ["kexec_file_load", "kexec_file_load_check"]

_KMALLOC_MAX_SIZE = 4 << 20  # bytes of a command line that memdup_user copies
_NOTHING = Readable.of(b"")


def kexec_file_load_check(kernel: KernelState, request: KexecFileRequest, caller: Caller) -> Kimage | None:
    """Every check, and the search for places; nothing is loaded or freed. None where it unloads.

    A signature is verified; whether its key is one that the kernel trusts, where the facts tell the kernel's keys.
    Raises KexecError with the errno that Linux returns.
    """
    _permitted(kernel, request, caller)
    with kernel.kexec_lock():
        kernel.passed(rules.LOCK)
        if request.flags & KexecFileFlags.UNLOAD:
            return None
        taken = kernel.cma.taken if kernel.cma else ()
        try:
            image = _prepared(kernel, request)
            sanity_check_segment_list(kernel, image)
        finally:
            if kernel.cma:
                kernel.cma.taken = taken
        return image


def kexec_file_load(kernel: KernelState, request: KexecFileRequest, caller: Caller, *, contents: bool = True) -> None:
    """Load, or with KEXEC_FILE_UNLOAD unload. Raises KexecError with the errno that Linux returns.

    Without `contents`, or the bytes of an initrd, every page is found and none is filled. A crash image is freed before
    its successor is looked at, and is gone even where that is refused.
    """
    _permitted(kernel, request, caller)
    with kernel.kexec_lock():
        kernel.passed(rules.LOCK)
        on_crash = bool(request.flags & KexecFileFlags.ON_CRASH)
        if on_crash and kernel.kexec_crash_image is not None:
            kernel.crash.arch_kexec_unprotect_crashkres()
        unused: Kimage | None = None
        try:
            if request.flags & KexecFileFlags.UNLOAD:
                unused = exchange(kernel, None, on_crash=on_crash)
                return
            if on_crash:
                kimage_free(kernel, exchange(kernel, None, on_crash=True))
            unused = image = _prepared(kernel, request)
            without_initrd = bool(request.flags & KexecFileFlags.NO_INITRAMFS)
            _load(kernel, image, caller, contents=contents and (without_initrd or request.initrd is not None))
            unused = exchange(kernel, image, on_crash=on_crash)
        finally:
            if on_crash and kernel.kexec_crash_image is not None:
                kernel.crash.arch_kexec_protect_crashkres()
            kimage_free(kernel, unused)


def _permitted(kernel: KernelState, request: KexecFileRequest, caller: Caller) -> None:
    """What is looked at before the lock is taken. Raises KexecError."""
    if kernel.facts.kexec_file_load is not None:
        there = kernel.facts.kexec_file_load == "yes"
        kernel.check_call(rules.CONFIG_KEXEC_FILE, "kexec_file_load", there=there)
    on_crash = bool(request.flags & KexecFileFlags.ON_CRASH)
    kexec_load_permitted(kernel, int(KexecFlags.ON_CRASH) if on_crash else 0, caller)
    _check_flags(kernel, request.flags)


def _prepared(kernel: KernelState, request: KexecFileRequest) -> Kimage:
    """kimage_file_alloc_init up to the segments, which kimage_file_prepare_segments makes. Raises KexecError."""
    image = do_kimage_alloc_init(kernel, 0, [])
    image.file = FileParts()
    if request.flags & KexecFileFlags.ON_CRASH:
        image.control_page = kernel.crash.start
        image.type = KimageType.CRASH
    given = request.kernel_file or FileFacts(request.kernel.nbytes)
    _read_file(kernel, given, "the kernel file", KEXEC_KERNEL_CHECK, request.kernel)
    kernel.passed(*rules.READ_RULES)
    loader = kernel.arch.file_loader
    problem = loader.probe(kernel.facts, request.kernel)
    if problem:
        raise rules.IMAGE.refuse(problem)
    kernel.passed(rules.IMAGE)
    kimage_validate_signature(kernel, request.kernel)
    if not request.flags & KexecFileFlags.NO_INITRAMFS:
        _read_file(kernel, request.initrd_file or FileFacts(request.initrd_size), "the initrd", KEXEC_INITRAMFS_CHECK)
    image.no_cma = bool(request.flags & KexecFileFlags.NO_CMA)
    _check_command_line(kernel, request.command_line)
    image.file.kho_scratch = kho_fill_kimage(kernel, image)
    loader.load(kernel, image, request)
    return image


def _check_command_line(kernel: KernelState, line: bytes) -> None:
    """memdup_user, and its last byte."""
    if len(line) > _KMALLOC_MAX_SIZE:
        raise rules.COMMAND_LINE_MEMORY.refuse(
            f"the command line has {len(line)} bytes, at most {_KMALLOC_MAX_SIZE} are copied",
            addresses=(len(line), _KMALLOC_MAX_SIZE),
        )
    kernel.passed(rules.COMMAND_LINE_MEMORY)
    if line and line[-1]:
        raise rules.COMMAND_LINE_END.refuse("the command line does not end with a zero byte")
    kernel.passed(rules.COMMAND_LINE_END)


def _load(kernel: KernelState, image: Kimage, caller: Caller, *, contents: bool) -> None:
    """From the segments to a complete image. Raises KexecError: what was taken is freed by the caller."""
    crash = image.type is KimageType.CRASH
    try:
        _alloc_control_pages(kernel, image, caller)
    except rules.KexecError:
        image.segment_cma.clear()  # kimage_file_alloc_init forgets them, and so they are lost (7.2)
        raise
    kernel.arch.machine_kexec_prepare(kernel, image, caller)
    kernel.passed(rules.PAGE_TABLES)
    kimage_crash_copy_vmcoreinfo(kernel, image, caller)
    if crash:
        kernel.passed(rules.VMCOREINFO)
    if contents:
        _calculate_store_digests(kernel, image)
    else:
        image.segment[:] = [each._replace(buf=_NOTHING, bufsz=0) for each in image.segment]
    for number in range(image.nr_segments):
        kimage_load_segment(kernel, image, number, caller)
    kernel.passed(rules.SOURCE_PAGES, rules.SOURCE_FAULT)
    kimage_terminate(kernel, image)
    kernel.arch.machine_kexec_post_load(kernel, image)
    if contents:
        _add_own_purgatory(kernel, image, caller)


def _alloc_control_pages(kernel: KernelState, image: Kimage, caller: Caller) -> None:
    """The rest of kimage_file_alloc_init. Raises KexecError."""
    crash = image.type is KimageType.CRASH
    sanity_check_segment_list(kernel, image)
    kernel.pages.aim_at(image.destinations(), image.blank())
    control_code_page = kimage_alloc_control_pages(kernel, image, kernel.arch.control_code_order, caller)
    if control_code_page is None:
        raise rules.CONTROL_PAGES.refuse("no room for the control code buffer", hint=rules.CRASH_ROOM if crash else "")
    image.control_code_page = control_code_page
    kernel.passed(rules.CONTROL_PAGES)
    if not crash:
        image.swap_page = kimage_alloc_control_pages(kernel, image, 0, caller)
        if image.swap_page is None:
            raise rules.SWAP_PAGE.refuse("no room for the swap page")
        kernel.passed(rules.SWAP_PAGE)


def _calculate_store_digests(kernel: KernelState, image: Kimage) -> None:
    """kexec_calculate_store_digests: of all segments but the purgatory, and headers that the kernel may change."""
    from warmboot.placement.digest import digest_regions  # noqa: PLC0415 - it loads OpenSSL

    assert image.file is not None
    parts = image.file
    left_out = (parts.purgatory, parts.elf_headers if parts.elf_headers_change else None)
    digested = [each for each in image.segment if each not in left_out]
    parts.regions = tuple(digest_regions(sorted(digested, key=lambda each: each.mem), "sha256"))


def _add_own_purgatory(kernel: KernelState, image: Kimage, caller: Caller) -> None:
    """Have our purgatory entered in place of Linux's; without room for it the image loads, and cannot be started."""
    from warmboot.purgatory import of  # noqa: PLC0415

    parts = image.file
    assert parts is not None
    assert parts.entry is not None
    code = of(kernel.facts.machine).build(parts.entry, parts.regions)
    order = (page_align(len(code)) // PAGE_SIZE - 1).bit_length()
    first = kimage_alloc_control_pages(kernel, image, order, caller)
    if first is None:
        return
    parts.own_purgatory = range(first, first + (1 << order))
    parts.own_code = code
    kernel.memory.write(first << PAGE_SHIFT, code)
    image.start = first << PAGE_SHIFT


def _check_flags(kernel: KernelState, flags: int) -> None:
    legal = int(kernel.profile.legal_file_flags)
    if flags & ~legal:
        raise rules.FILE_FLAGS.refuse(
            f"flags {flags & ~legal:#x} are not known to {kernel.profile.name}", addresses=(flags, legal)
        )
    kernel.passed(rules.FILE_FLAGS)


def _read_file(kernel: KernelState, file: FileFacts, name: str, func: str, data: memoryview | None = None) -> None:
    """kernel_read_file_from_fd and kernel_read_file, up to the reading itself, which IMA appraises for `func`."""
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
    why = ima_read_file(kernel.facts, func, file, data)
    if why is not None:
        raise rules.FILE_APPRAISED.refuse(f"{name}: {why}")
    if file.size >> PAGE_SHIFT > kernel.totalram_pages:  # as vmalloc looks at it
        memory = kernel.totalram_pages * PAGE_SIZE
        raise rules.FILE_MEMORY.refuse(
            f"{name} has {file.size} bytes, the machine {memory} of memory", addresses=(file.size, memory)
        )
    if not file.complete:
        raise rules.FILE_IO.refuse(f"{name} ends before the {file.size} bytes that its size says")
