"""Standard streams that the caller has closed."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["discard_unwritable", "occupy_standard_descriptors"]


def occupy_standard_descriptors() -> None:
    """Let 0, 1 and 2 lead nowhere where they are closed, as daemons and cron may leave them.

    Otherwise a file that is opened later takes the number, and what is meant for a person is written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _open_nothing()  # it takes the lowest number that is free: this one


def discard_unwritable(stream: TextIO) -> None:
    """Write what the stream still holds, or drop it where that fails, so that the interpreter's end does not try again:
    its exit status then is 120."""
    try:
        stream.flush()
    except OSError:
        nowhere = _open_nothing()
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


def _open_nothing() -> int:
    try:
        return os.open(os.devnull, os.O_RDWR)
    except OSError:  # a root without /dev: a folder, to which nothing can be written either
        return os.open("/", os.O_RDONLY)
