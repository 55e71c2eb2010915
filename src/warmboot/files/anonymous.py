"""Bytes as a file, where a system call or another program wants one: files in memory, without a name."""

from __future__ import annotations

import mmap
import os

from warmboot.errors import RefusedError
from warmboot.files.held import let_go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["anonymous_file", "joined_file", "mapped", "new_file", "no_memory", "write_all"]

_PIECE = 8 << 20  # bytes that are copied before the pages they came from are let go


def new_file(name: str) -> int:
    """A descriptor of a new, empty file, which is gone with its last user; the caller closes it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    import tempfile  # noqa: PLC0415 - for systems without memfd_create alone

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def anonymous_file(data: bytes | memoryview | None = None, name: str = "kernel") -> int:
    """A descriptor of a new file that holds a copy of `data`; the caller closes it.

    For kexec_file_load of what is no file of its own: an unpacked kernel, or a section of a unified kernel image.
    Raises RefusedError where memory runs out.
    """
    return joined_file([] if data is None else [memoryview(data)], name)


def joined_file(
    pieces: Iterable[memoryview], name: str = "segment", progress: Callable[[int], None] | None = None
) -> int:
    """A descriptor of a new file with the pieces one after the other; the caller closes it.

    `progress` is called with the bytes done so far. Raises RefusedError where memory runs out.
    """
    descriptor, done = new_file(name), 0
    try:
        for each in pieces:
            for at in range(0, each.nbytes, _PIECE):
                part = each[at : at + _PIECE]
                write_all(descriptor, part, name)
                let_go(part)
                done += part.nbytes
                if progress is not None:
                    progress(done)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def mapped(descriptor: int, size: int) -> memoryview:
    """The first `size` bytes of a file in memory, read-only, mapped for as long as the view lives."""
    return memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ))


def write_all(descriptor: int, data: bytes | memoryview, name: str) -> None:
    """Write all of `data` at the descriptor's position. Raises RefusedError, about the file `name`, without memory."""
    left = memoryview(data)
    try:
        while left.nbytes:
            left = left[os.write(descriptor, left) :]
    except OSError as error:
        raise no_memory(name, error) from None


def no_memory(name: str, error: OSError) -> RefusedError:
    """What to raise where an anonymous file could not take what is in the file `name`."""
    return RefusedError(f"{name}: no memory to unpack it: {error.strerror}", hint="free memory, or give a smaller file")
