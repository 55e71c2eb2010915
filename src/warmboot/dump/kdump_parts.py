"""Dumps in several files: where to cut one, and how to join the files again (makedumpfile --split, --reassemble).

Each file of a split dump has the whole bitmaps, and the descriptors and pages of its frames alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_header import DESCRIPTOR, HEADER, SIGNATURE, SUB_HEADER, Status
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.page_filter import PageFilter
    from warmboot.dump.sinks import Sink

__all__ = ["cut", "reassemble"]

_ROWS = 4096  # descriptors that are read at once
_ALIGNED = 64  # frames: crash counts the bits of the bitmap in words, and reads nothing where a part begins within one
_HINT = "give the files that one `save --split` or `makedumpfile --split` wrote, whole"


def cut(pages: PageFilter, parts: int) -> list[range]:
    """Frames of each part: all have as many pages that are kept, more or less, with the pages of zeros among them."""
    from warmboot.dump.page_jobs import kept_runs  # noqa: PLC0415 - for writers alone

    total = sum(map(len, kept_runs(pages)))
    wanted = [total * number // parts for number in range(1, parts)]
    borders, before = [0], 0
    for run in kept_runs(pages):
        while wanted and wanted[0] < before + len(run):
            borders.append(run[wanted.pop(0) - before] & -_ALIGNED)
        before += len(run)
    borders += [pages.end] * (parts + 1 - len(borders))
    return [range(start, stop) for start, stop in pairwise(borders)]


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of a split dump; offsets are in the file, `rows` is the number of its descriptors."""

    path: Path
    file: int
    header: bytes
    sub_header: bytes  # with the notes
    block: int
    bitmaps: range
    frames: range
    rows: int = 0

    @property
    def same(self) -> tuple[object, ...]:
        """What all parts have in common."""
        return self.header[:424], self.block, self.bitmaps, self.sub_header[:12], self.sub_header[96:]


def reassemble(paths: Sequence[Path], sink: Sink) -> int:
    """Put split files together; the number of pages. Raises DumpError, SinkError."""
    with ExitStack() as stack:
        parts = sorted((_open(path, stack) for path in paths), key=lambda part: (part.frames.start, part.frames.stop))
        _check(parts)
        first = parts[0]
        parts = [replace(part, rows=_count(part)) for part in parts]
        total = sum(part.rows for part in parts)
        status = int.from_bytes(first.header[424:428], "little")
        incomplete = status | Status.INCOMPLETE
        sink.write_at(0, first.header[:424] + incomplete.to_bytes(4, "little") + first.header[428:])
        sink.write_at(first.block, _whole(first))
        for at in range(first.bitmaps.start, first.bitmaps.stop, 1 << 20):
            sink.write_at(at, _read(first, at, min(1 << 20, first.bitmaps.stop - at)))
        _write_pages(parts, sink, total)
        ended = status if not any(_status(part) & Status.INCOMPLETE for part in parts) else incomplete
        sink.write_at(0, first.header[:424] + ended.to_bytes(4, "little") + first.header[428:])
        return total


def _write_pages(parts: Sequence[_Part], sink: Sink, total: int) -> None:
    at, end, shared = parts[0].bitmaps.stop, parts[0].bitmaps.stop + total * DESCRIPTOR.size, -1
    sink.reserve(at, total * DESCRIPTOR.size)
    for part in parts:
        first = part.bitmaps.stop + total * DESCRIPTOR.size  # a page of zeros, if it is used
        for rows in _descriptors(part):
            packed, data, data_at = bytearray(), [], end
            for offset, size, flags, page_flags in rows:
                if not offset or size > part.block:
                    packed += DESCRIPTOR.pack(0, 0, 0, 0)
                    continue
                zero = offset == first and size == part.block and not flags
                if not zero or shared < 0:
                    shared = end if zero else shared
                    packed += DESCRIPTOR.pack(end, size, flags, page_flags)
                    data.append(_read(part, offset, size))
                    end += size
                else:
                    packed += DESCRIPTOR.pack(shared, size, flags, page_flags)
            sink.write_at(data_at, b"".join(data))
            sink.write_at(at, bytes(packed))
            at += len(packed)


def _open(path: Path, stack: ExitStack) -> _Part:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        stack.callback(os.close, file)
        start = os.pread(file, HEADER.size, 0)
    except OSError as error:
        raise DumpError(f"{visible(str(path))}: cannot be read: {error.strerror}", hint=_HINT) from None
    if len(start) < HEADER.size or not start.startswith(SIGNATURE):
        raise _wrong(path, 0, "a header that begins 'KDUMP   '")
    *_, block, sub, bitmap_blocks, _, _, _, _, _, _ = HEADER.unpack(start)
    if block not in (4096, 8192, 16384, 65536) or not 1 <= sub <= 4096 or not 0 < bitmap_blocks < 1 << 24:
        raise _wrong(path, 428, "sizes that can be")
    header = os.pread(file, block, 0)
    sub_header = os.pread(file, sub * block, block)
    if len(header) < block or len(sub_header) < sub * block:
        raise _wrong(path, block, f"{sub} blocks of sub header")
    fields = SUB_HEADER.unpack_from(sub_header)
    if not fields[2]:
        raise _wrong(path, block + 12, "a file of a split dump")
    bitmaps = range((1 + sub) * block, (1 + sub + bitmap_blocks) * block)
    return _Part(path, file, header, sub_header, block, bitmaps, range(fields[11], fields[12]))


def _check(parts: Sequence[_Part]) -> None:
    if not parts:
        raise DumpError("no files of a split dump", hint=_HINT)
    for part in parts:
        if part.same != parts[0].same:
            raise DumpError(f"{visible(str(part.path))}: not of the same dump as {parts[0].path}", hint=_HINT)
    for before, part in pairwise(parts):
        if before.frames.stop != part.frames.start:
            raise DumpError(
                f"frames {before.frames.stop:#x} to {part.frames.start:#x} are in none of the files, or in two",
                hint=_HINT,
            )


def _count(part: _Part) -> int:
    """The pages of the part, by the second bitmap."""
    half = len(part.bitmaps) // 2
    start, stop = part.frames.start, min(part.frames.stop, half * 8)
    count = 0
    for at in range(start // 8, -(-stop // 8), 1 << 20):
        data = _read(part, part.bitmaps.start + half + at, min(1 << 20, -(-stop // 8) - at))
        bits = int.from_bytes(data, "little")
        low, high = max(start - at * 8, 0), min(stop - at * 8, len(data) * 8)
        count += (bits >> low & (1 << high - low) - 1).bit_count()
    return count


def _descriptors(part: _Part) -> Iterator[list[tuple[int, int, int, int]]]:
    for row in range(0, part.rows, _ROWS):
        count = min(_ROWS, part.rows - row)
        data = _read(part, part.bitmaps.stop + row * DESCRIPTOR.size, count * DESCRIPTOR.size)
        yield list(DESCRIPTOR.iter_unpack(data))


def _whole(part: _Part) -> bytes:
    """The sub header of a dump that is not split."""
    fields = list(SUB_HEADER.unpack_from(part.sub_header))
    for number in (2, 3, 4, 11, 12):
        fields[number] = 0
    return SUB_HEADER.pack(*fields) + part.sub_header[SUB_HEADER.size :]


def _status(part: _Part) -> int:
    return int.from_bytes(part.header[424:428], "little")


def _read(part: _Part, at: int, size: int) -> bytes:
    data = os.pread(part.file, size, at)
    if len(data) < size:
        raise _wrong(part.path, at + len(data), f"{size - len(data)} more bytes")
    return data


def _wrong(path: Path, at: int, expected: str) -> DumpError:
    return DumpError(f"{visible(str(path))}: at offset {at:#x}: {expected} was expected", hint=_HINT)
