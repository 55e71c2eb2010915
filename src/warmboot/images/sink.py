"""Where unpacked data go: an anonymous file, up to a limit."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from warmboot.errors import RefusedError
from warmboot.files.anonymous import anonymous_file, mapped, no_memory, write_all

__all__ = ["Beginning", "DamagedError", "FullError", "NotAloneError", "Sink"]

_MIB = 1 << 20
_ZEROS = bytes(_MIB)


class DamagedError(Exception):
    """Compressed data that make no sense; says how."""


class NotAloneError(Exception):
    """Something follows the first packed stream, where it was to be alone."""


class FullError(Exception):
    """A `Beginning` has what it wants."""


class Sink:
    """Takes at most `most` bytes of what the file `name` unpacks to, of which it keeps the first `kept`.

    What is not kept is unpacked all the same, as the checksum of the whole tells whether the beginning is right.
    `alone` is for a file that counts as packed only where it is one packed stream and nothing else.
    """

    def __init__(self, name: str, most: int, kept: int | None = None, *, alone: bool = False) -> None:
        self._name = name
        self._most = most
        self._kept = most if kept is None else kept
        self._alone = alone
        self._size = 0
        self._descriptor = anonymous_file(name="unpacked")

    def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises RefusedError beyond the limit."""
        start = self._size
        self._grow(len(chunk))
        if chunk == _ZEROS:  # a hole: nothing is allocated for it
            os.lseek(self._descriptor, min(self._size, self._kept), os.SEEK_SET)
        elif start < self._kept:
            write_all(self._descriptor, memoryview(chunk)[: self._kept - start], self._name)

    def has_room(self, size: int) -> bool:
        """Whether the next `size` bytes are all kept, so that `room` may be asked for them.

        Raises RefusedError where they are beyond the limit.
        """
        if self._size + size > self._most:
            raise self._too_large()
        return self._size + size <= self._kept

    @contextmanager
    def room(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes of the file, to be written in place, where `has_room`."""
        start = self._size
        self._grow(size)
        try:
            os.posix_fallocate(self._descriptor, start, size)
        except OSError as error:
            raise no_memory(self._name, error) from None
        page = start & -mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(self._descriptor, start + size - page, offset=page) as file,
            memoryview(file) as whole,
            whole[start - page :] as room,
        ):
            yield room
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def another(self) -> None:
        """One more stream follows. Raises NotAloneError where there may be one only."""
        if self._alone:
            raise NotAloneError

    def check_trailer(self, rest: memoryview, *, ignored: bool = False) -> None:
        """What may follow the data: zeros to fill a block, or their size, which Linux appends to its payloads.

        Raises DamagedError for anything else that is not `ignored`, NotAloneError where nothing else may follow.
        """
        size = (self._size & 0xFFFF_FFFF).to_bytes(4, "little")
        if bytes(rest[:5]) == size or not _has_content(rest, everywhere=self._alone):
            return
        self.another()
        if not ignored:
            raise DamagedError(f"followed by {rest.nbytes} bytes of something else")

    def view(self) -> memoryview:
        """All that was kept, read-only. Raises DamagedError where that is nothing."""
        size = min(self._size, self._kept)
        if not size:
            raise DamagedError("empty: nothing is in them")
        os.ftruncate(self._descriptor, size)
        return mapped(self._descriptor, size)

    def close(self) -> None:
        """Let go of the file; its views live on."""
        os.close(self._descriptor)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._most:
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        return RefusedError(
            f"{self._name}: more than {self._most >> 20} MiB when unpacked",
            hint="give one that fits into memory; `strip` takes debugging symbols out of a vmlinux",
        )


class Beginning(Sink):
    """Takes the first `size` bytes, and then raises FullError; `data` are those."""

    def __init__(self, size: int) -> None:
        self._wanted = size
        self.data: bytes = b""

    def write(self, chunk: bytes) -> None:
        self.data = (self.data + chunk)[: self._wanted]
        if len(self.data) == self._wanted:
            raise FullError

    def has_room(self, size: int) -> bool:
        return False

    def another(self) -> None:
        pass

    def check_trailer(self, rest: memoryview, *, ignored: bool = False) -> None:
        pass

    def close(self) -> None:
        pass


def _has_content(rest: memoryview, *, everywhere: bool) -> bool:
    """Whether anything but zeros is in the first MiB, or `everywhere`."""
    if not everywhere:
        return bool(bytes(rest[:_MIB]).strip(b"\0"))
    return any(bytes(rest[at : at + _MIB]).strip(b"\0") for at in range(0, rest.nbytes, _MIB))
