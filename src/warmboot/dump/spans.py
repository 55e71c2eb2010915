"""Reading what may be missing in part: filtered pages, the ends of a mapping, text of unknown length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory

__all__ = ["PAGE", "readable", "spans", "text", "with_gaps"]

PAGE = 4096  # bytes: what is missing is missing in multiples of the smallest page of any architecture
_CHUNK = 1 << 20  # bytes


def spans(memory: Memory, start: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a range of kernel virtual addresses that the dump has: (address, bytes), lowest first.

    A part ends at a missing page, or after 16 MiB.
    """
    begun, parts, end = start, list[bytes](), min(start + size, 1 << 64)
    at = start
    while at < end:
        chunk = min(_CHUNK - at % _CHUNK, end - at)
        pieces = _tried(memory, at, chunk)
        for piece in pieces:
            if piece is None:
                if parts:
                    yield begun, b"".join(parts)
                parts, step = [], min(PAGE - at % PAGE, end - at)
                begun = at + step
            else:
                parts.append(piece)
                step = len(piece)
            at += step
        if sum(map(len, parts)) >= 16 << 20:
            yield begun, b"".join(parts)
            begun, parts = at, []
    if parts:
        yield begun, b"".join(parts)


def with_gaps(memory: Memory, start: int, size: int) -> tuple[bytes, list[tuple[int, int]]]:
    """A range of kernel virtual addresses with zeros for what the dump has not: offsets where that starts and stops."""
    data, missing, end = bytearray(size), list[tuple[int, int]](), 0
    for address, part in spans(memory, start, size):
        at = address - start
        data[at : at + len(part)] = part
        if at > end:
            missing.append((end, at))
        end = at + len(part)
    if end < size:
        missing.append((end, size))
    return bytes(data), missing


def _tried(memory: Memory, at: int, size: int) -> list[bytes | None]:
    """The range in one piece, or page by page, with None for each page that is missing."""
    try:
        return [memory.virtual(at, size)]
    except DumpError:
        pass
    pieces: list[bytes | None] = []
    end = at + size
    while at < end:
        step = min(PAGE - at % PAGE, end - at)
        try:
            pieces.append(memory.virtual(at, step))
        except DumpError:
            pieces.append(None)
        at += step
    return pieces


def readable(memory: Memory, address: int, most: int) -> bytes:
    """What the dump has from `address` on without a gap, at most `most` bytes."""
    parts, at, end = list[bytes](), address, min(address + most, 1 << 64)
    while at < end:
        for piece in _tried(memory, at, min(_CHUNK - at % _CHUNK, end - at)):
            if piece is None:
                return b"".join(parts)
            parts.append(piece)
            at += len(piece)
    return b"".join(parts)


def text(memory: Memory, address: int, most: int = 256) -> str:
    """The string at a virtual address up to its zero byte, at most `most` bytes; bytes that are no UTF-8 replaced."""
    return readable(memory, address, most).partition(b"\0")[0].decode("utf-8", "replace")
