"""A tar archive from anybody, read from front to end: names and the starts of files, in bounded memory.

Python's tarfile follows a chain of headers by recursion, keeps every member, and reads a header as large as it says.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from warmboot.errors import InputError
from warmboot.numbers import number
from warmboot.visible import visible

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["is_tar", "tar_files"]

_BLOCK = 512
_CHUNK = 1 << 16
_MOST_HEADER = 1 << 20  # bytes of a header that tells about the next one: a name, or records of pax
_MOST_HEADERS, _MOST_UNPACKED = 1 << 18, 8 << 30
_MOST_DICTIONARY = 96 << 20  # bytes that xz may take: what xz -9 packs needs 65 MiB
_LEADING = (b"x", b"g", b"L", b"K")
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes, whatever size they tell
_FILES = (b"0", b"\0", b"7")


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_tar(path: Path) -> bool:
    """Whether a file begins as a tar archive does, packed by gzip, bzip2, xz or not at all. Raises OSError."""
    try:
        with _unpacked(path) as stream:
            return _checked(stream.read(_BLOCK))
    except InputError:
        return False


def tar_files(path: Path, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, bytes]]:
    """The regular files whose names are wanted, each with its first `most` bytes. Raises InputError, OSError."""
    with _unpacked(path) as stream:
        for name, size in _files(stream, str(path)):
            kept = _exactly(stream, min(size, most)) if wanted(name) else b""
            _skip(stream, -(-size // _BLOCK) * _BLOCK - len(kept))
            if wanted(name):
                yield name, kept


def _files(stream: _Stream, path: str) -> Iterator[tuple[str, int]]:
    """Each file's name and size, its bytes, up to a whole block, are for the caller to take; others are passed over."""
    unpacked, name, size, holes = 0, "", None, False
    for _ in range(_MOST_HEADERS):
        header = stream.read(_BLOCK)
        if not header.strip(b"\0"):
            return
        if not _checked(header):
            raise ValueError("a header of an archive was expected")
        kind, length = header[156:157], _number(header[124:136])
        if kind in _LEADING:
            if length > _MOST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            text = _exactly(stream, -(-length // _BLOCK) * _BLOCK)[:length]
            if kind == b"L":
                name = _text(text)
            elif kind == b"x":
                records = _records(text)
                name, holes = records.get("path", name), any(each.startswith("GNU.sparse.") for each in records)
                size = number(records.get("size", ""), most=1 << 62)
            unpacked += _BLOCK + length
        else:
            more = kind == b"S" and header[482]  # a map of holes that goes on in blocks of its own
            while more:
                more = _exactly(stream, _BLOCK)[504]
                unpacked += _BLOCK
            length = 0 if kind in _WITHOUT_DATA else length if size is None else size
            unpacked += _BLOCK + length
            if unpacked <= _MOST_UNPACKED and kind in _FILES and not holes:
                yield name or _name(header), length
            elif unpacked <= _MOST_UNPACKED:
                _skip(stream, -(-length // _BLOCK) * _BLOCK)
            name, size, holes = "", None, False
        if unpacked > _MOST_UNPACKED:
            raise InputError(f"{path}: larger than any sosreport", hint="unpack it and give the folder")
    raise InputError(f"{path}: more than {_MOST_HEADERS} members", hint="unpack it and give the folder")


def _checked(header: bytes) -> bool:
    """Whether its sum is right, with signs or without (POSIX.1-1988, and what was before it)."""
    if len(header) != _BLOCK or not header.strip(b"\0"):
        return False
    told = number(_text(header[148:156]).strip(), 8)
    rest = header[:148] + b" " * 8 + header[156:]
    return told in (sum(rest), sum(each - 256 if each > 127 else each for each in rest))


def _number(field: bytes) -> int:
    """A size: octal, or binary where the first bit is set, as GNU tar writes large ones."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] & 0x40 or value > 1 << 62:
            raise ValueError("a size of more than 62 bits")
        return value
    found = number(_text(field).strip() or "0", 8)
    if found is None:
        raise ValueError("a size that is no number")
    return found


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _records(text: bytes) -> dict[str, str]:
    """The records of pax, each `LENGTH NAME=VALUE` and a newline (POSIX.1-2001)."""
    found, at = {}, 0
    while at < len(text) and text[at]:
        blank = text.find(b" ", at, at + 12)
        length = number(_text(text[at:blank]), least=5) if blank > 0 else None
        if length is None or at + length > len(text):
            raise ValueError("a record of pax without its length")
        name, _, value = text[blank + 1 : at + length - 1].partition(b"=")
        found[_text(name)] = _text(value)
        at += length
    return found


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _exactly(stream: _Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError("it ends before its end")
    return data


def _skip(stream: _Stream, size: int) -> None:
    while size:
        size -= len(_exactly(stream, min(size, _CHUNK)))


@contextmanager
def _unpacked(path: Path) -> Iterator[_Stream]:
    """What is in the file when it is unpacked. Raises InputError, also for what the block under `with` finds."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
            file.seek(0)
            if start[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as gz:
                    yield gz
            elif start[:3] == b"BZh":
                with bz2.BZ2File(file) as bz:
                    yield bz
            elif start == b"\xfd7zXZ\0":
                with io.BufferedReader(_Xz(file), _CHUNK) as xz:
                    yield xz
            else:
                yield file
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(path, error) from None  # of gzip and bz2
    except (EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged: {visible(str(error), most=80)}", hint="copy it again")


class _Xz(io.RawIOBase):
    """An xz file unpacked with a limit of memory, which lzma.LZMAFile has not."""

    def __init__(self, file: _Stream) -> None:
        self._file = file
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_DICTIONARY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._unpacker.eof:
            packed = self._file.read(_CHUNK) if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not packed:
                raise EOFError("it ends before its end")
            if data := self._unpacker.decompress(packed, len(view)):
                view[: len(data)] = data
                return len(data)
        return 0
