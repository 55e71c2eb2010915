"""The running kernel's system calls for kexec: kexec_load(2), kexec_file_load(2), reboot(2)."""

from __future__ import annotations

import ctypes
import os

from warmboot.live.arch import this_machine
from warmboot.uapi.numbers import KEXEC_FILE_NO_INITRAMFS, KEXEC_FILE_UNLOAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.live.buffers import Buffers
    from warmboot.uapi import LoadRequest

__all__ = ["LiveError", "kexec_file_load", "kexec_file_unload", "kexec_load", "kexec_unload", "reboot_kexec", "sync"]

_LINUX_REBOOT_MAGIC1, _LINUX_REBOOT_MAGIC2, _LINUX_REBOOT_CMD_KEXEC = 0xFEE1DEAD, 672274793, 0x45584543

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


class LiveError(OSError):
    """The running kernel refused: `errno` and `strerror` as it said, `call` is the system call's name.

    `addresses` are the segments' buffers, virtual, where a load was refused.
    """

    def __init__(self, number: int, call: str, addresses: tuple[int, ...] = ()) -> None:
        super().__init__(number, os.strerror(number))
        self.call = call
        self.addresses = addresses

    def __str__(self) -> str:
        return f"{self.call}: {self.strerror}"


def kexec_load(request: LoadRequest, buffers: Buffers | None = None) -> None:
    """Load an image; `buffers` are those of its segments, where the caller has made them. Raises LiveError."""
    if buffers is None:
        from warmboot.live.buffers import Buffers as Made  # noqa: PLC0415 - unloading does without

        with Made(request.segments) as made:
            kexec_load(request, made)
        return
    words = (request.entry, len(request.segments), ctypes.c_char_p(buffers.table()), request.flags)
    addresses = buffers.addresses
    buffers.while_letting_go(lambda: _call("kexec_load", this_machine().kexec_load, *words, held=addresses))


def kexec_unload(flags: int = 0) -> None:
    """Unload the image, that for a crash where `flags` has KexecFlags.ON_CRASH. Raises LiveError."""
    arch = this_machine()
    _call("kexec_load", arch.kexec_load, 0, 0, None, flags | arch.kexec_arch)


def kexec_file_load(kernel_fd: int, initrd_fd: int | None, command_line: bytes, flags: int) -> None:
    """Load the kernel and the initial RAM disk in open files; the line has no zero at its end. Raises LiveError."""
    if initrd_fd is None:
        flags |= KEXEC_FILE_NO_INITRAMFS
    line = command_line + b"\0"
    initrd = -1 if initrd_fd is None else initrd_fd
    number = this_machine().kexec_file_load
    _call("kexec_file_load", number, kernel_fd, initrd, len(line), ctypes.c_char_p(line), flags)


def kexec_file_unload(flags: int = 0) -> None:
    """Unload the image, that for a crash where `flags` has KexecFileFlags.ON_CRASH. Raises LiveError."""
    _call("kexec_file_load", this_machine().kexec_file_load, -1, -1, 0, None, flags | KEXEC_FILE_UNLOAD)


def reboot_kexec() -> None:
    """Start the loaded kernel, at once: nothing is stopped or written to disks. Raises LiveError, or never returns."""
    _call("reboot", this_machine().reboot, _LINUX_REBOOT_MAGIC1, _LINUX_REBOOT_MAGIC2, _LINUX_REBOOT_CMD_KEXEC, None)


def sync() -> None:
    """Write what file systems hold in memory (sync(2))."""
    os.sync()


def _call(name: str, number: int, *arguments: int | ctypes.c_char_p | None, held: tuple[int, ...] = ()) -> None:
    words = [each if isinstance(each, ctypes.c_char_p) else ctypes.c_ulong(each or 0) for each in arguments]
    if _syscall(ctypes.c_long(number), *words) < 0:
        raise LiveError(ctypes.get_errno(), name, held)
