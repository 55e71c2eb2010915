"""Where a dump is written: a file that gets its name at the end, or a pipe in the flattened format.

Flattened (makedumpfile -F): a header of 4096 bytes, then records of an offset, a size and that many bytes, so that what
arrives in any order can be put together; numbers are big-endian; the record -1, -1 ends it.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from warmboot.dump.interface import DumpError
from warmboot.errors import RefusedError
from warmboot.files.replaced import check_replaceable
from warmboot.visible import visible

__all__ = ["FLAT_SIGNATURE", "DrySink", "FileSink", "FlatSink", "PipeSink", "Sink", "SinkError"]

FLAT_SIGNATURE = b"makedumpfile"
_FLAT_HEADER = struct.Struct(">16sqq")  # signature, type, version
_FLAT_RECORD = struct.Struct(">qq")  # offset, size
_FLAT_HEADER_SIZE = 4096
_END = _FLAT_RECORD.pack(-1, -1)
_FULL = (errno.ENOSPC, errno.EDQUOT)


_AT_ONCE = 1024  # buffers of a call: IOV_MAX

Data = bytes | memoryview | Sequence[bytes | memoryview]


class SinkError(DumpError):
    """The dump cannot be written on: a full disk, a lost pipe."""


class Sink(Protocol):
    """Takes bytes at offsets."""

    @property
    def written(self) -> int:
        """How many bytes it took."""

    def write_at(self, offset: int, data: Data) -> None:
        """Put `data` at an offset, one buffer after the other where they are many. Raises SinkError."""

    def reserve(self, offset: int, size: int) -> None:
        """Make sure that `size` bytes at an offset can be written later; they read as zeros. Raises SinkError."""

    def finish(self) -> None:
        """All is written. Raises SinkError."""

    def give_up(self) -> str:
        """No more is written; where to find what there is, or empty."""


class FileSink:
    """A file, 0600, which has its name only when it is whole; until then, and if it is cut off, NAME.incomplete.

    With `keep_name` a file that is cut off has its name too. A block device is written in place.
    Raises RefusedError where the file is there already, unless `force`; what is no file is never replaced.
    """

    def __init__(self, path: Path, *, force: bool = False, keep_name: bool = False) -> None:
        self.path: Path = path
        self._force, self._keep_name = force, keep_name
        self.written: int = 0
        try:
            self._in_place = path.exists() and stat.S_ISBLK(path.stat().st_mode)
            if path.exists() and not self._in_place and not force:
                raise RefusedError(f"{path}: File exists", hint="another name, or --force to replace it")
            if not self._in_place:
                check_replaceable(path)
            self._now = path if self._in_place else path.with_name(f"{path.name}.incomplete")
            flags = os.O_RDWR | os.O_CLOEXEC | (0 if self._in_place else os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
            if not self._in_place:
                self._now.unlink(missing_ok=True)  # what an earlier run left
            self._file = os.open(self._now, flags, 0o600)
        except OSError as error:
            raise RefusedError(
                f"{visible(str(path))}: cannot be written: {error.strerror}", hint="write the dump to another folder"
            ) from None

    def write_at(self, offset: int, data: Data) -> None:
        """As Sink says."""
        try:
            for part in _writable(data):
                rest = part
                while rest:
                    done = os.pwritev(self._file, rest, offset)
                    rest, offset = _after(rest, done), offset + done
                    self.written += done
        except OSError as error:
            raise self._failed(error) from None

    def reserve(self, offset: int, size: int) -> None:
        """As Sink says."""
        if not size:
            return
        try:
            os.posix_fallocate(self._file, offset, size)
        except OSError as error:
            if error.errno in _FULL:  # else this file system cannot
                raise self._failed(error) from None

    def finish(self) -> None:
        """As Sink says."""
        try:
            os.close(self._file)
            self._rename()
        except OSError as error:
            raise self._failed(error) from None

    def give_up(self) -> str:
        """As Sink says."""
        try:
            os.close(self._file)
            if self._keep_name:
                self._rename()
                return str(self.path)
        except OSError:
            pass
        return str(self._now)

    def _rename(self) -> None:
        if self._now == self.path:
            return
        if self._force:
            self._now.replace(self.path)
            return
        try:
            os.link(self._now, self.path)  # unlike a rename it replaces nothing
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            self._now.replace(self.path)
        else:
            self._now.unlink()

    def _failed(self, error: OSError) -> SinkError:
        return SinkError(
            f"{visible(str(self.path))}: cannot be written on: {error.strerror}", hint="make room there, or dump less"
        )


class DrySink:
    """Writes nothing, and counts."""

    def __init__(self) -> None:
        self.written: int = 0

    def write_at(self, offset: int, data: Data) -> None:
        """As Sink says."""
        del offset
        self.written += _size(data)

    def reserve(self, offset: int, size: int) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""

    def give_up(self) -> str:
        """As Sink says."""
        return ""


class PipeSink:
    """A pipe, or whatever else a descriptor is: what is written goes out in that order, whatever the offsets."""

    def __init__(self, file: int, name: str = "standard output") -> None:
        self._file, self._name = file, name
        self.written: int = 0

    def write_at(self, offset: int, data: Data) -> None:
        """As Sink says."""
        del offset
        try:
            for part in _writable(data):
                rest = part
                while rest:
                    done = os.writev(self._file, rest)
                    rest = _after(rest, done)
                    self.written += done
        except OSError as error:
            raise SinkError(
                f"{self._name}: cannot be written on: {error.strerror}",
                hint="see why the program that reads the dump has ended",
            ) from None

    def reserve(self, offset: int, size: int) -> None:
        """Nothing can be reserved."""

    def finish(self) -> None:
        """Whoever opened the descriptor closes it."""

    def give_up(self) -> str:
        """As Sink says."""
        return ""


class FlatSink:
    """The flattened format, one record after the other, into another sink."""

    def __init__(self, below: Sink) -> None:
        self._below = below
        self._at = 0

    @property
    def written(self) -> int:
        """Bytes, with those of the format."""
        return self._at

    def write_at(self, offset: int, data: Data) -> None:
        """As Sink says."""
        if not self._at:
            self._put(_FLAT_HEADER.pack(FLAT_SIGNATURE, 1, 1).ljust(_FLAT_HEADER_SIZE, b"\0"))
        self._put(
            (_FLAT_RECORD.pack(offset, _size(data)), *((data,) if isinstance(data, bytes | memoryview) else data))
        )

    def reserve(self, offset: int, size: int) -> None:
        """Nothing: what is not sent reads as zeros."""

    def finish(self) -> None:
        """As Sink says."""
        self._put(_END)
        self._below.finish()

    def give_up(self) -> str:
        """As Sink says."""
        return self._below.give_up()

    def _put(self, data: Data) -> None:
        self._below.write_at(self._at, data)
        self._at += _size(data)


def _size(data: Data) -> int:
    return len(data) if isinstance(data, bytes | memoryview) else sum(map(len, data))


def _writable(data: Data) -> Iterator[Sequence[bytes | memoryview]]:
    """As many buffers as a call takes, again and again; none of them is empty in all."""
    buffers = [data] if isinstance(data, bytes | memoryview) else data
    for at in range(0, len(buffers), _AT_ONCE):
        part = buffers[at : at + _AT_ONCE]
        if any(map(len, part)):
            yield part


def _after(buffers: Sequence[bytes | memoryview], done: int) -> Sequence[bytes | memoryview]:
    """What is left when `done` bytes were written; nothing where only empty buffers are."""
    for number, each in enumerate(buffers):
        if done < len(each):
            return [memoryview(each)[done:], *buffers[number + 1 :]]
        done -= len(each)
    return ()
