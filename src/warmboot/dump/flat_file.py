"""A flattened dump, read in place: where in the file each byte of the dump is. Records may come in any order, the last
one counts."""

from __future__ import annotations

import os
import struct
from array import array
from pathlib import Path

from warmboot.dump.interface import DumpError
from warmboot.dump.layers import Layers
from warmboot.dump.open_file import open_file
from warmboot.visible import visible

__all__ = ["FlatFile"]

_HEADER_SIZE = 4096
_RECORD = struct.Struct(">qq")
_MOST = 1 << 56
_MOST_RECORDS = 1 << 21
_MOST_HOLES = 64 << 20  # bytes that are read at once, where the file itself is smaller


class FlatFile:
    """The dump's bytes by their offsets; what no record has reads as zeros. `problem` is that it has no end."""

    def __init__(self, path: Path) -> None:
        """Index the records. Raises DumpError where the file cannot be read."""
        self._name = visible(str(path))
        self._file, end = open_file(path, self)
        self.size: int = 0  # bytes of the dump
        starts, stops, places = array("q"), array("q"), array("q")  # of each record
        at = _HEADER_SIZE
        self._most = max(end, _MOST_HOLES)
        whole = False
        self.ends_at: int = at  # where in the file what can be read ends
        while True:
            row = os.pread(self._file, _RECORD.size, at)
            if len(row) < _RECORD.size:
                break
            offset, size = _RECORD.unpack(row)
            whole = (offset, size) == (-1, -1)
            if whole or not 0 <= offset <= _MOST or not 0 < size <= _MOST:
                break
            at += _RECORD.size
            size = min(size, end - at)  # of a file that is cut off
            if size <= 0:
                break
            if len(starts) >= _MOST_RECORDS:
                raise DumpError(
                    f"{self._name}: at offset {at:#x}: at most {_MOST_RECORDS} records were expected",
                    hint="put it together first: makedumpfile -R",
                )
            starts.append(offset)
            stops.append(offset + size)
            places.append(at)
            self.size = max(self.size, offset + size)
            at += size
            self.ends_at = at
        expected = f"at offset {self.ends_at:#x}: the last record of a flattened dump was expected"
        self.problem: str = "" if whole else f"{self._name}: {expected}"
        for each in (starts, stops, places):
            each.reverse()  # the last record counts
        self._layers = Layers(starts, stops, places)

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes of the dump, fewer at its end. Raises DumpError where they are more than the file can have."""
        size = max(0, min(size, self.size - at))
        if size > self._most:
            raise DumpError(
                f"{self._name}: {size} bytes at offset {at:#x} of the dump, at most {self._most} were expected",
                hint="the headers are damaged",
            )
        out = bytearray(size)
        for start, stop, where in self._layers.within(at, at + size):
            out[start - at : stop - at] = os.pread(self._file, stop - start, where)
        return bytes(out)
