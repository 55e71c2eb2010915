"""Text files that may be compressed: gzip and xz are recognized by their first bytes; read line by line."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from warmboot.errors import InputError
from warmboot.visible import visible

__all__ = ["LARGEST", "LONGEST_LINE", "read_lines"]

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\0"
LARGEST = 512 << 20  # bytes, unpacked: a million calls take some 300 MiB
LONGEST_LINE = 4 << 20  # bytes: the first line holds a memory map


def read_lines(name: str) -> Iterator[str]:
    """The lines of a UTF-8 file, or of standard input for `-`, each without its end. Raises InputError.

    One line is in memory at a time. Nothing of more than LARGEST bytes, unpacked, is read, and no line of more than
    LONGEST_LINE bytes.
    """
    shown = visible(name, most=200)
    number, left = 0, LARGEST
    try:
        with _opened(name) as file:
            while data := file.readline(LONGEST_LINE + 1):
                number, left = number + 1, left - len(data)
                if len(data) > LONGEST_LINE or left < 0:
                    what, most = ("the line", LONGEST_LINE) if left >= 0 else ("the file, unpacked,", LARGEST)
                    raise InputError(
                        f"{shown}, line {number}: {what} has more than {most >> 20} MiB",
                        hint="a trace has one JSON object a line; cut a longer one into several traces",
                    )
                yield data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError:
        raise InputError(f"{shown}, line {number}: not UTF-8", hint="a trace is JSON Lines in UTF-8") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else visible(str(error))
        raise InputError(f"{shown}: cannot be read: {reason}", hint="give a file of JSON Lines") from None


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """The file's content, unpacked as it is read."""
    with open(sys.stdin.fileno() if name == "-" else name, "rb", closefd=name != "-") as file:
        start = file.peek(len(_XZ))
        if start.startswith(_GZIP):
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file))
        elif start.startswith(_XZ):
            yield cast(BinaryIO, lzma.LZMAFile(file))  # noqa: SIM115 - it holds nothing but `file`
        else:
            yield file
