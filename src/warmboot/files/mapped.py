"""Files as they lie on disk: mapped, never copied."""

from __future__ import annotations

import mmap
import os
import stat

from warmboot.errors import InputError
from warmboot.files.steady import watch

__all__ = ["map_file"]


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
