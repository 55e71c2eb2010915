"""A console written to a file as it comes, up to a limit: a machine that never falls silent must not fill a disk."""

from __future__ import annotations

import os
from typing import BinaryIO

from warmboot.errors import InputError
from warmboot.memmap import parse_size

__all__ = ["CONSOLE_LIMIT_VARIABLE", "ConsoleCopy", "console_limit"]

CONSOLE_LIMIT_VARIABLE = "WARMBOOT_CONSOLE_LIMIT"
_LIMIT = 64 << 20  # bytes


def console_limit() -> int:
    """How many bytes of a console are kept in a file: the environment's WARMBOOT_CONSOLE_LIMIT (a size such as 1G),
    else 64 MiB.

    Raises InputError where that variable is no size.
    """
    named = os.environ.get(CONSOLE_LIMIT_VARIABLE)
    if not named:
        return _LIMIT
    try:
        return parse_size(named)
    except InputError as error:
        raise InputError(
            f"{CONSOLE_LIMIT_VARIABLE}: {error}",
            hint=f"set it to a size such as 256M, or unset {CONSOLE_LIMIT_VARIABLE}",
        ) from None


class ConsoleCopy:
    """Takes at most `limit` bytes of a console into `file`, and says there where it stopped.

    `ended` says in words why it stopped, and is empty while it goes on.
    """

    def __init__(self, file: BinaryIO, limit: int | None = None) -> None:
        self._file = file
        self._limit = console_limit() if limit is None else limit
        self._left = self._limit
        self.ended: str = ""

    def write(self, piece: bytes) -> None:
        """Append what there is room for. A file that cannot be written ends the copy and raises nothing."""
        if self.ended:
            return
        notice = b""
        if len(piece) > self._left:
            piece = piece[: self._left]
            ended = f"the console's file ends after {self._limit} bytes: {CONSOLE_LIMIT_VARIABLE} allows more"
            notice = f"\n[warmboot: {ended}]\n".encode()
            self.ended = ended
        self._left -= len(piece)
        try:
            self._file.write(piece + notice)
            self._file.flush()
        except (OSError, ValueError) as error:  # a full disk, or the reader of a pipe is gone
            reason = error.strerror if isinstance(error, OSError) else "it is closed"
            self.ended = f"the console's file is not whole: {reason}"
