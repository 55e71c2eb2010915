"""The file of a dump, opened for as long as its reader lives."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from warmboot.dump.interface import NoDumpError
from warmboot.visible import visible

__all__ = ["open_file"]


def open_file(path: Path, owner: object) -> tuple[int, int]:
    """A descriptor to read from, and the file's size in bytes; it is closed when `owner` goes. Raises NoDumpError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe has no end that is waited for
        weakref.finalize(owner, os.close, file)
        return file, os.lseek(file, 0, os.SEEK_END)
    except OSError as error:
        raise NoDumpError(
            f"{visible(str(path))}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from None
