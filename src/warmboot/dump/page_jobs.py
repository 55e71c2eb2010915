"""Pages on their way into a dump: compressed by several workers, given back in order, with bounded memory."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.page_codecs import Compress, Packed, compressor
from warmboot.dump.page_pools import may_fork, with_processes, with_threads
from warmboot.dump.page_rules import Rule

if TYPE_CHECKING:
    from warmboot.dump.page_filter import PageFilter
    from warmboot.dump.source import Source

__all__ = ["Done", "Kind", "Piece", "kept_runs", "looked_pages", "packed_pages", "processors"]

_MOST = 256  # pages of a job
_GAP = 32  # pages left out that a view may span
_SPAN = 1024  # pages of a view at most
_IN_FLIGHT = 24 << 20  # bytes of pages that are being compressed or wait to be written
_ZEROS_AT_ONCE = 16  # pages
_KEPT = re.compile(b"[%b]+" % bytes(rule for rule in Rule if rule < Rule.HOLE))


class Kind(IntEnum):
    """What became of a page."""

    PACKED = 0
    ZERO = 1
    UNREADABLE = 2


Piece = tuple[Kind, int, int]  # its first frame, and how many


@dataclass(frozen=True, slots=True)
class Done:
    """Pages of a job, lowest first; `packed` has those of that kind."""

    pieces: tuple[Piece, ...]
    packed: tuple[Packed, ...]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def kept_runs(pages: PageFilter, part: range | None = None) -> Iterator[range]:
    """The frames that the filter keeps, lowest first; zeros are not looked for."""
    for section in pages.sections():
        if part is not None and section.first >= part.stop:
            return
        for found in _KEPT.finditer(section.rules):
            start, stop = section.first + found.start(), section.first + found.end()
            if part is not None:
                start, stop = max(start, part.start), min(stop, part.stop)
            if start < stop:
                yield range(start, stop)


def packed_pages(
    source: Source, pages: PageFilter, codec: str, *, threads: int, zeros: bool, part: range | None = None
) -> Iterator[Done]:
    """Every kept page, in order; with `zeros`, pages of zeros are only named.

    What was given back is good until the next one is asked for.
    """
    if codec != "none":
        return _done(source, pages, codec, threads=threads, zeros=zeros, part=part)
    looked = looked_pages(source, pages, threads=threads, zeros=zeros, part=part)
    return (replace(each, packed=tuple(_views(source, each.pieces, pages.page_size))) for each in looked)


def looked_pages(
    source: Source, pages: PageFilter, *, threads: int, zeros: bool, part: range | None = None
) -> Iterator[Done]:
    """As packed_pages, but nothing is packed."""
    return _done(source, pages, None, threads=threads, zeros=zeros, part=part)


def _done(
    source: Source, pages: PageFilter, codec: str | None, *, threads: int, zeros: bool, part: range | None
) -> Iterator[Done]:
    worker = _Worker(source, codec, pages.page_size, zeros=zeros)
    jobs = _jobs(kept_runs(pages, part))
    if threads < 2:
        return map(worker, jobs)
    if may_fork():
        return with_processes(worker, jobs, threads, _MOST * pages.page_size)
    return with_threads(worker, jobs, threads, max(2, min(2 * threads, _IN_FLIGHT // (2 * _MOST * pages.page_size))))


def _views(source: Source, pieces: tuple[Piece, ...], size: int) -> Iterator[Packed]:
    for kind, first, count in pieces:
        if kind is Kind.PACKED:
            yield Packed([source.view(first * size, count * size)], [size] * count, [0] * count)


def _jobs(runs: Iterator[range]) -> Iterator[list[range]]:
    job, room = list[range](), _MOST
    for each in runs:
        run = each
        while run:
            job.append(run[:room])
            run, room = run[room:], room - len(job[-1])
            if not room:
                yield job
                job, room = [], _MOST
    if job:
        yield job


class _Worker:
    def __init__(self, source: Source, codec: str | None, page_size: int, *, zeros: bool) -> None:
        self._source, self._codec, self._size = source, codec, page_size
        self._zeros = bytes(_MOST * page_size) if zeros else b""
        self._of_thread = threading.local()

    def __call__(self, job: list[range]) -> Done:
        pieces, packed = list[Piece](), list[Packed]()
        for span in _spans(job):
            self._span(span, pieces, packed)
        return Done(tuple(pieces), tuple(packed))

    def _compress(self) -> Compress:
        made: Compress | None = getattr(self._of_thread, "compress", None)
        if made is None:
            assert self._codec is not None
            made = self._of_thread.compress = compressor(self._codec, self._size)
        return made

    def _span(self, runs: list[range], pieces: list[Piece], packed: list[Packed]) -> None:
        first, size = runs[0].start, self._size
        try:
            view = self._source.view(first * size, (runs[-1].stop - first) * size)
        except DumpError:  # a hole within, or bytes that the file has not: halves of it may be there
            for half in _halves(runs):
                self._span(half, pieces, packed)
            if len(runs) == 1 == len(runs[0]):
                pieces.append((Kind.UNREADABLE, first, 1))
            return
        begin = len(pieces)
        for run in runs:
            if self._zeros:
                self._look(view, first, run, pieces)
            else:
                pieces.append((Kind.PACKED, run.start, len(run)))
        offsets = [((start - first) * size, count) for kind, start, count in pieces[begin:] if kind is Kind.PACKED]
        if offsets and self._codec is not None:
            packed.append(self._compress()(view, offsets))

    def _look(self, view: memoryview, first: int, run: range, pieces: list[Piece]) -> None:
        """Tell pages of zeros from others. bytes.startswith() compares without a copy, and stops where they differ."""
        size, is_zero = self._size, self._zeros.startswith
        begin = len(pieces)
        at = (run.start - first) * size
        if is_zero(view[at : at + len(run) * size]):
            pieces.append((Kind.ZERO, run.start, len(run)))
            return
        for start in range(run.start, run.stop, _ZEROS_AT_ONCE):
            count = min(_ZEROS_AT_ONCE, run.stop - start)
            end = at + count * size
            if is_zero(view[at:end]):
                _add(pieces, begin, Kind.ZERO, start, count)
            else:
                zeros = [is_zero(view[each : each + size]) for each in range(at, end, size)]
                if any(zeros):
                    for frame, zero in enumerate(zeros, start):
                        _add(pieces, begin, Kind.ZERO if zero else Kind.PACKED, frame, 1)
                else:
                    _add(pieces, begin, Kind.PACKED, start, count)
            at = end


def _add(pieces: list[Piece], begin: int, kind: Kind, start: int, count: int) -> None:
    """Add pages in a row, to the last piece if it is of the same kind and not before `begin`."""
    if len(pieces) > begin and pieces[-1][0] is kind:
        _, first, before = pieces.pop()
        start, count = first, before + count
    pieces.append((kind, start, count))


def _spans(job: list[range]) -> Iterator[list[range]]:
    """Runs that are so close that one view may have them."""
    span = list[range]()
    for run in job:
        if span and (run.start - span[-1].stop > _GAP or run.stop - span[0].start > _SPAN):
            yield span
            span = []
        span.append(run)
    yield span


def _halves(runs: list[range]) -> Iterator[list[range]]:
    """Two halves of what is more than one page."""
    if len(runs) > 1:
        yield runs[: len(runs) // 2]
        yield runs[len(runs) // 2 :]
    elif len(runs[0]) > 1:
        [run] = runs
        yield [run[: len(run) // 2]]
        yield [run[len(run) // 2 :]]
