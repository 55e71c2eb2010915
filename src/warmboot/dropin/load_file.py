"""Loading by kexec_file_load: the kernel reads the files, places and checks them."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.command import AUTO
from warmboot.dropin.failure import explain, print_not_available
from warmboot.dropin.loader import LoaderOptions, wants_box
from warmboot.dropin.output import shown, tell, told
from warmboot.dropin.stop import EFAILED, EFALLBACK, Stop
from warmboot.errors import InputError
from warmboot.files.anonymous import anonymous_file
from warmboot.images.unwrap import unwrapped
from warmboot.live.calls import LiveError, kexec_file_load
from warmboot.uapi import KexecFileRequest
from warmboot.uapi.numbers import KEXEC_FILE_DEBUG, KEXEC_FILE_NO_INITRAMFS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmboot.dropin.command import Command
    from warmboot.dropin.files import File, Inputs
    from warmboot.images import Image
    from warmboot.placement.options import BlackBox

__all__ = ["load_file"]

_EINVAL, _ENOEXEC, _ENOSYS, _ENOTSUP, _EFBIG, _ETXTBSY = 22, 8, 38, 95, 27, 26
# After these kexec_load may still succeed; after a wrong signature or without the right to load it must not be tried.
_NOT_AVAILABLE = frozenset({_EINVAL, _ENOEXEC, _ENOSYS, _ENOTSUP})
# A file is larger than the kernel reads, or open for writing: there kexec-tools does not go on.
_FALL_BACK = _NOT_AVAILABLE | {_EFBIG, _ETXTBSY}

# What only a placement by user space can do; kexec-tools ignores these without a word here.
_NOT_BY_FILE = frozenset(
    (
        *("type", "mem-min", "mem-max", "entry", "no-checks", "noefi", "dtb", "pass-memmap-cmdline"),
        *("serial", "serial-baud", "console-vga", "console-serial", "reset-vga", "reuse-video-type"),
    )
)


def load_file(command: Command, inputs: Inputs, kernel: File, image: Image) -> int:
    """0, or a negative number of stop.py. Raises Stop."""
    options = LoaderOptions(command, image.kind)
    if options.real_mode or options.entry_32bit:
        sys.stderr.write("Kexec2 syscall does not support 16bit or 32bit entry yet\n")
        return _cannot_load(kernel)
    inner, initrds, line = unwrapped(image, (), options.command_line)
    box, line = _with_words(command, kernel, inner, line)
    command.loaded.kernel, command.loaded.line, command.loaded.call = inner, line, "kexec_file_load"
    opened: list[int] = []
    try:
        kernel_fd = kernel.fd
        if inner is not image or image.wrapping or not kernel.mapped:
            kernel_fd = anonymous_file(inner.file)
            opened.append(kernel_fd)
        initrd_fd = None
        if command.unpack:
            given = initrds if options.initrd is None else (inputs.file(options.initrd).data,)
            initrds = _unpacked(command, inner, given)
        if command.unpack and initrds:
            initrd_fd = _in_one_file(initrds)
            opened.append(initrd_fd)
        elif options.initrd is not None:
            try:
                initrd_fd = inputs.descriptor(options.initrd)
            except OSError as error:
                sys.stderr.write(f"Could not open initrd file {shown(options.initrd)}:{error.strerror}\n")
                return _cannot_load(kernel)
        elif initrds:
            initrd_fd = _in_one_file(initrds)
            opened.append(initrd_fd)
        result = _call(command, kernel_fd, initrd_fd, os.fsencode(line), inner.file)
    finally:
        for fd in opened:
            os.close(fd)
    if result == 0 and box is not None and box.address is not None:
        from warmboot.blackbox.loaded import write_loaded  # noqa: PLC0415

        write_loaded(box.template, box.address)  # Linux's purgatory marks nothing; the kernel's first words count
    return result


_UNMARKED = "Linux's purgatory does not write it\nkexec: try: -c\n"


def _with_words(command: Command, kernel: File, inner: Image, line: str) -> tuple[BlackBox | None, str]:
    """The black box, if there is one, and the command line with what it and --rescue add. Raises Stop."""
    box = None
    if wants_box(command) and command.wants_crash_kernel:
        if command.blackbox != AUTO:
            raise Stop(EFAILED, f"kexec: --blackbox={shown(command.blackbox or '')}: {_UNMARKED}")
    elif wants_box(command):
        from warmboot.dropin.blackbox import black_box, with_page_words  # noqa: PLC0415 - few computers have one

        try:
            box = black_box(command, inner)
        except InputError as error:
            raise Stop(EFAILED, f"Cannot load {shown(kernel.path)}\n{told(error)}") from None
        if box is not None and box.address is None:
            raise Stop(EFAILED, f"kexec: --blackbox=cmos: {_UNMARKED}")
        line = with_page_words(command, inner, line, box)
    if command.rescue:
        from warmboot.dropin.guard import with_rescue_words  # noqa: PLC0415 - only with --rescue

        line = with_rescue_words(command, line)
    return box, line


def _cannot_load(kernel: File) -> int:
    sys.stderr.write(f"Cannot load {shown(kernel.path)}\n")
    return EFAILED


def _unpacked(command: Command, kernel: Image, initrds: Sequence[memoryview]) -> tuple[memoryview, ...]:
    """The initrds unpacked. Raises WarmbootError."""
    from warmboot.images.unpack import unpack  # noqa: PLC0415 - only where it is asked for

    done = unpack(command.unpack, kernel, initrds, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    tell(done.told)
    return done.initrds


def _in_one_file(parts: Sequence[memoryview]) -> int:
    from warmboot.files.anonymous import joined_file  # noqa: PLC0415 - only for a unified image's own
    from warmboot.uapi import Joined  # noqa: PLC0415

    joined = Joined(parts)
    return joined_file(joined.pieces(0, joined.readable), "initrd")


def _call(command: Command, kernel_fd: int, initrd_fd: int | None, line: bytes, kernel: memoryview) -> int:
    flags = command.file_flags
    while True:
        try:
            kexec_file_load(kernel_fd, initrd_fd, line, flags)
        except LiveError as error:
            if error.errno == _EINVAL and flags & KEXEC_FILE_DEBUG:
                flags &= ~KEXEC_FILE_DEBUG  # unknown before Linux 6.8: -d must not change what is done
                continue
            return _refused(command, error, _request(kernel_fd, initrd_fd, line, flags, kernel))
        for meaning, _, typed in command.given:
            if meaning in _NOT_BY_FILE:
                sys.stderr.write(f"kexec: {shown(typed)} has no effect on kexec_file_load: use -c for it\n")
        return 0


def _request(kernel_fd: int, initrd_fd: int | None, line: bytes, flags: int, kernel: memoryview) -> KexecFileRequest:
    """What was refused, with what the kernel saw of the files."""
    from warmboot.live.file_facts import file_facts  # noqa: PLC0415 - only a refusal needs it

    initrd = None if initrd_fd is None else file_facts(initrd_fd)
    flags |= KEXEC_FILE_NO_INITRAMFS if initrd is None else 0
    return KexecFileRequest(kernel, initrd.size if initrd else 0, line + b"\0", flags, file_facts(kernel_fd), initrd)


def _refused(command: Command, error: LiveError, request: KexecFileRequest) -> int:
    if command.fallback and error.errno in _FALL_BACK:
        return EFALLBACK
    if error.errno in _NOT_AVAILABLE:
        print_not_available()
        explain(error, request)
        return EFALLBACK
    sys.stderr.write(f"kexec_file_load failed: {error.strerror}\n")
    explain(error, request)
    return EFAILED
