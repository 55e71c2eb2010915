"""Text files that may be compressed by gzip or xz, as their first bytes tell, read line by line within limits."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from warmboot.errors import InputError
from warmboot.visible import visible

__all__ = ["LONGEST_LINE", "MOST_BYTES", "MOST_LINES", "read_lines"]

# Far beyond what is recorded: a million calls have 150 MiB, a line of the most segments has 100 KiB.
MOST_BYTES = 512 << 20
MOST_LINES = 2_000_000
LONGEST_LINE = 4 << 20  # bytes: the first line holds a memory map
_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\0"
_PIECE = 64 << 10  # bytes that are read, or unpacked, at a time
_LARGEST_DICTIONARY = 128 << 20  # bytes of xz; `xz -9` takes 65 MiB
_HINT = "give a trace as it was recorded, or cut it into several, each with the first line"


def read_lines(name: str, *, most_bytes: int = MOST_BYTES) -> Iterator[str]:
    """The lines of a UTF-8 file, or of standard input for `-`, one at a time.

    What a file unpacks to may have `most_bytes` bytes, MOST_LINES lines, and LONGEST_LINE bytes in each: of a file that
    has more, the lines up to there are given. Raises InputError.
    """
    shown = visible(name)
    number = 0
    try:
        with _opened(name) as file:
            for line in _lines(_unpacked(file), most_bytes):
                number += 1
                yield line.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{shown}, line {number}: not UTF-8", hint="a trace is JSON Lines in UTF-8") from None
    except _TooMuchError as error:
        raise InputError(f"{shown}: {error}", hint=_HINT) from None
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{shown}: cannot be read: {reason}", hint="give a file of JSON Lines") from None


class _TooMuchError(Exception):
    """A file that is beyond the limits; says which."""


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
    else:
        with Path(name).open("rb") as file:
            yield file


def _lines(pieces: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    """The lines in `pieces`, without their ends; also a last one that has no end."""
    rest = b""
    size = count = 0
    for piece in pieces:
        size += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        longest = max(map(len, whole), default=0)
        count += len(whole)
        if size > most_bytes:
            raise _TooMuchError(f"more than {most_bytes} bytes when unpacked")
        if count > MOST_LINES:
            raise _TooMuchError(f"more than {MOST_LINES} lines")
        if max(longest, len(rest)) > LONGEST_LINE:
            raise _TooMuchError(f"a line of more than {LONGEST_LINE} bytes, after line {count - len(whole)}")
        yield from whole
    if rest:
        yield rest


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    first = file.read(_PIECE)
    if first.startswith(_GZIP):
        # Its reader wants to read the beginning itself.
        with gzip.GzipFile(fileobj=cast("BinaryIO", _Again(first, file))) as unpacked:
            while piece := unpacked.read(_PIECE):
                yield piece
    elif first.startswith(_XZ):
        yield from _unpacked_xz(first, file)
    else:
        while first:
            yield first
            first = file.read(_PIECE)


def _unpacked_xz(data: bytes, file: BinaryIO) -> Iterator[bytes]:
    """One stream after another; zeros may follow each."""
    while data:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_DICTIONARY)
        while not decoder.eof:
            if decoder.needs_input and not data and not (data := file.read(_PIECE)):
                raise EOFError("it ends in the middle")
            yield decoder.decompress(data, _PIECE)
            data = b""
        data = decoder.unused_data.lstrip(b"\0")
        while not data and (data := file.read(_PIECE)):
            data = data.lstrip(b"\0")


class _Again:
    """A file of which `first` was read already, and is read again."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first = first
        self._file = file

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        if self._first:
            piece, self._first = self._first[:size], self._first[size:]
            return piece
        return self._file.read(size)
