"""The files that are loaded: mapped where they can be, read where not (devices, /sys); errors as scripts know them."""

from __future__ import annotations

import mmap
import os
import stat

from warmboot.dropin.output import shown
from warmboot.dropin.stop import Stop

__all__ = ["File", "open_file"]


class File:
    """An open file and its bytes. `mapped`: they are the file itself, and no copy."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.fd = fd
        data, mapped = _content(path, fd)
        self.data: memoryview = data
        self.mapped: bool = mapped


def open_file(path: str) -> File:
    """Raises Stop."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise Stop(1, f"Cannot open `{shown(path)}': {_reason(error)}\n") from None
    try:
        file = File(path, fd)
    except OSError as error:
        os.close(fd)
        raise Stop(1, f"Read on {shown(path)} failed: {error.strerror}\nCannot read {shown(path)}\n") from None
    if not file.data.nbytes:
        raise Stop(1, f"Cannot read {shown(path)}\nkexec: it is empty\n")
    return file


def _content(path: str, fd: int) -> tuple[memoryview, bool]:
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_size:
        try:
            return memoryview(mmap.mmap(fd, status.st_size, prot=mmap.PROT_READ)), True
        except OSError:  # such as /sys/firmware/initrd
            pass
    pieces = []
    while piece := os.read(fd, 1 << 20):
        pieces.append(piece)
    return memoryview(b"".join(pieces)), False


def _reason(error: OSError | ValueError) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
