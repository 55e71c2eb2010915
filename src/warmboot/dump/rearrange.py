"""Putting a flattened dump together (makedumpfile -R): its records, from a pipe, to where they belong."""

from __future__ import annotations

import struct
from typing import BinaryIO

from warmboot.dump.interface import DumpError
from warmboot.dump.sinks import FLAT_SIGNATURE, Sink

__all__ = ["rearrange"]

_HEADER_SIZE = 4096
_RECORD = struct.Struct(">qq")
_AT_ONCE = 1 << 20  # bytes
_MOST = 1 << 56  # an offset beyond this is damaged


def rearrange(stream: BinaryIO, sink: Sink) -> int:
    """Write the records of `stream`; how many bytes. What is whole is written before an error.

    Raises DumpError where the stream is not flattened, is damaged or ends early, and SinkError.
    """
    header = _read(stream, _HEADER_SIZE)
    if len(header) < _HEADER_SIZE or not header.startswith(FLAT_SIGNATURE):
        raise _wrong(0, "a header that begins 'makedumpfile'")
    at, total = _HEADER_SIZE, 0
    while True:
        record = _read(stream, _RECORD.size)
        if len(record) < _RECORD.size:
            raise _wrong(at + len(record), "a record, or the one that ends the stream")
        offset, size = _RECORD.unpack(record)
        if (offset, size) == (-1, -1):
            return total
        if not 0 <= offset <= _MOST or not 0 <= size <= _MOST:
            raise _wrong(at, "an offset and a size that can be")
        at += _RECORD.size
        while size:
            data = _read(stream, min(size, _AT_ONCE))
            if not data:
                raise _wrong(at, f"{size} more bytes of a record")
            sink.write_at(offset, data)
            offset, size, at, total = offset + len(data), size - len(data), at + len(data), total + len(data)


def _read(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer at the end alone."""
    data = stream.read(size)
    while 0 < len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            break
        data += more
    return data


def _wrong(at: int, expected: str) -> DumpError:
    return DumpError(
        f"flattened dump: at offset {at:#x}: {expected} was expected",
        hint="send the dump again; what has arrived is kept, marked as incomplete",
    )
