"""A file without any headers: its bytes, and where it has none but zeros that were never written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from warmboot.dump.interface import DumpError
from warmboot.dump.open_file import open_file
from warmboot.visible import visible

__all__ = ["PlainFile"]

_MOST_SEARCHED = 1 << 40  # bytes; holes of the file cost nothing


class PlainFile:
    """The file, open for as long as this lives; `size` is in bytes."""

    def __init__(self, path: Path) -> None:
        """Raises NoDumpError where it cannot be opened."""
        self._name = visible(str(path))
        self._file, size = open_file(path, self)
        self.size: int = size

    def read(self, at: int, size: int) -> bytes:
        """All of these bytes. Raises DumpError where the file has not all of them."""
        parts = list[bytes]()
        while size:
            try:
                data = os.pread(self._file, size, at) if 0 <= at < self.size else b""
            except OSError as error:
                raise DumpError(
                    f"{self._name}: at offset {at:#x}: {error.strerror}, {size} bytes were expected",
                    hint="copy it anew",
                ) from None
            if not data:
                raise DumpError(
                    f"{self._name}: ends at offset {at:#x}, {size} more bytes were expected", hint="give it whole"
                )
            parts.append(data)
            at, size = at + len(data), size - len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def filled(self) -> Iterator[tuple[int, int]]:
        """Starts and stops of what was written, as the file system tells it; of a terabyte at most."""
        at, left = 0, _MOST_SEARCHED
        while at < self.size and left > 0:
            try:
                start = os.lseek(self._file, at, os.SEEK_DATA)
                stop = os.lseek(self._file, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # no data after that
                    return
                start, stop = at, self.size  # the file system tells no holes
            stop = min(stop, self.size, start + left)
            if start >= stop:
                return
            yield start, stop
            at, left = stop, left - (stop - start)
