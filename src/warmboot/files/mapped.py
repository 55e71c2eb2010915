"""Files as they lie on disk: mapped, never copied; and bytes as a file, where a system call wants one."""

from __future__ import annotations

import mmap
import os
import stat

from warmboot.errors import InputError, RefusedError
from warmboot.files.steady import watch

__all__ = ["anonymous_file", "map_file", "no_memory", "write_all"]


def map_file(path: str | os.PathLike[str], what: str = "file") -> memoryview:
    """The bytes of a file, read-only, mapped for as long as the view lives; `what` names its part in messages.

    The file is watched (files.steady): whoever has read it can ask whether it has changed meanwhile.

    Raises InputError where the file is missing, unreadable, no regular file, or empty.
    """
    name = os.fspath(path)
    try:
        # Opening must not wait for a writer, as it would on a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{name}: no regular file", hint=f"give the {what} as a file on disk")
            if not status.st_size:
                raise InputError(f"{name}: the {what} is empty", hint="check that it was written whole; copy it again")
            mapping = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
            watch(name, descriptor, mapping)
            return memoryview(mapping)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(
            f"{name}: {what} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from None
    except ValueError:  # a zero byte in the name
        raise InputError(f"{name!r}: no file name", hint=f"give the path of the {what}") from None


def anonymous_file(data: memoryview | None = None, name: str = "kernel") -> int:
    """A descriptor of a new file in memory that holds a copy of `data`; the caller closes it.

    For kexec_file_load of what is no file of its own: an unpacked kernel, or a section of a unified kernel image.
    Raises RefusedError where memory runs out.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        if data is not None:
            write_all(descriptor, data, name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


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
