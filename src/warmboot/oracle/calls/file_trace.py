"""Operations of trace version 2: kexec_file_load, and calls of a process that prepares a live update."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "AREA",
    "ARGUMENT_PLACES",
    "CALLS",
    "FILE_KINDS",
    "FIRST_FD",
    "LAST_FD",
    "LONGEST_DATA",
    "LONGEST_FILE",
    "MODES",
    "MOST_PATCHES",
    "OPENED",
    "Argument",
    "FileSource",
    "KexecFileLoad",
    "LiveUpdateCall",
]

# What a descriptor given to kexec_file_load is of.
FILE_KINDS = (
    *("content", "empty", "sparse", "directory", "pipe", "socket", "proc", "sysfs", "null", "closed", "fd", "same"),
)
MODES = ("r", "w", "rw", "path")
ARGUMENT_PLACES = ("mapped", "edge", "readonly", "null", "unmapped", "kernel")
AREA = 1 << 20  # bytes that can be read from where an argument is `mapped`: what it has not are zeros
LONGEST_DATA = 1 << 16  # bytes of an argument
LONGEST_FILE = 64 << 20  # bytes of a file with content
MOST_PATCHES = 64
# A process plays live updates with these descriptors, all free at first.
FIRST_FD, LAST_FD = 10, 63
OPENED = ("/dev/liveupdate", "/dev/null", "/proc/version", "/", "/tmp (unlinked)")
CALLS = (
    *("open", "close", "dup", "pipe", "ioctl", "memfd_create", "ftruncate", "add_seals", "get_seals"),
    *("pwrite", "pread", "lseek", "kexec"),
)


class FileSource(NamedTuple):
    """What a descriptor is of.

    `content` is a file of the content with that SHA-256, `size` bytes of it (zeros follow where that is more), with
    `patches` written over it: offsets and bytes. `sparse` has `size` bytes of nothing, `fd` is the live update's
    descriptor of that number, `same` that of the kernel, for the initrd. `mode` is how it is opened; `writer` says that
    it is open for writing besides.
    """

    at: str
    sha256: str = ""
    size: int | None = None
    patches: tuple[tuple[int, bytes], ...] = ()
    mode: str = "r"
    writer: bool = False
    fd: int = -1


class Argument(NamedTuple):
    """Memory that a call is given: `data` at that place, or what is kept under `sha256`."""

    at: str = "mapped"
    data: bytes = b""
    sha256: str = ""


class KexecFileLoad(NamedTuple):
    """One call of kexec_file_load; `cmdline_len` may differ from what there is of the command line."""

    kernel: FileSource
    initrd: FileSource
    cmdline: Argument
    cmdline_len: int
    flags: int
    nobody: bool = False  # played by a process without capabilities


class LiveUpdateCall(NamedTuple):
    """One call of the process that prepares a live update; which fields count depends on `call`."""

    call: str
    fd: int = -1
    path: str = ""  # open
    name: str = ""  # memfd_create
    flags: int = 0  # open, memfd_create
    command: int = 0  # ioctl
    argument: Argument = Argument()  # ioctl, pwrite
    offset: int = 0  # pwrite, pread, lseek
    size: int = 0  # ftruncate, pread
    seals: int = 0  # add_seals
    whence: int = 0  # lseek
