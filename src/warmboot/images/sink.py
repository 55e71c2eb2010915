"""Where unpacked data go: an anonymous file, up to a limit."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager

from warmboot.errors import RefusedError
from warmboot.files.mapped import anonymous_file, no_memory, write_all

__all__ = ["DamagedError", "Sink"]


class DamagedError(Exception):
    """Compressed data that make no sense; says how."""


class Sink:
    """Takes at most `limit` bytes of what the file `name` unpacks to."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._size = 0
        self._descriptor = anonymous_file(name="unpacked")

    def write(self, chunk: bytes) -> None:
        """Append `chunk`. Raises RefusedError beyond the limit."""
        self._grow(len(chunk))
        write_all(self._descriptor, chunk, self._name)

    @contextmanager
    def room(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes of the file, to be written in place. Raises RefusedError beyond the limit."""
        start = self._size
        self._grow(size)
        try:
            os.posix_fallocate(self._descriptor, start, size)
        except OSError as error:
            raise no_memory(self._name, error) from None
        page = start & -mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(self._descriptor, start + size - page, offset=page) as mapped,
            memoryview(mapped) as whole,
            whole[start - page :] as room,
        ):
            yield room
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def check_trailer(self, rest: memoryview) -> None:
        """What may follow the data: zeros to fill a block, or their size, which Linux appends to its payloads.

        Raises DamagedError for anything else.
        """
        size = (self._size & 0xFFFF_FFFF).to_bytes(4, "little")
        if bytes(rest[:5]) != size and bytes(rest[: 1 << 20]).strip(b"\0"):
            raise DamagedError(f"followed by {rest.nbytes} bytes of something else")

    def view(self) -> memoryview:
        """All that was taken, read-only. Raises DamagedError where that is nothing."""
        if not self._size:
            raise DamagedError("empty: nothing is in them")
        return memoryview(mmap.mmap(self._descriptor, self._size, prot=mmap.PROT_READ))

    def close(self) -> None:
        """Let go of the file; its views live on."""
        os.close(self._descriptor)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            raise RefusedError(
                f"{self._name}: more than {self._limit >> 20} MiB when unpacked",
                hint="give one that fits into memory; `strip` takes debugging symbols out of a vmlinux",
            )
