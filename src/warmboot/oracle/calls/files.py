"""Text files that may be compressed: gzip and xz are recognized by their first bytes."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from pathlib import Path

from warmboot.errors import InputError

__all__ = ["read_lines"]

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\0"


def read_lines(name: str) -> list[str]:
    """The lines of a UTF-8 file, or of standard input for `-`. Raises InputError."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
        elif data.startswith(_XZ):
            data = lzma.decompress(data)
        return data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}, line {line}: not UTF-8", hint="a trace is JSON Lines in UTF-8") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{name}: cannot be read: {reason}", hint="give a file of JSON Lines") from None
