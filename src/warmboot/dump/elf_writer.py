"""Writing a dump as an ELF core: the source's notes and segments, with the pages that are left out as holes.

A hole of fewer than 256 pages is not worth a program header: its pages are written as they are, as makedumpfile does.
Segments that name the same memory (the kernel's text, which the direct map has too) have it twice, as /proc/vmcore
does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_writer import Progress, Written, count_rules
from warmboot.dump.page_jobs import Kind, looked_pages
from warmboot.dump.page_rules import Level, Rule
from warmboot.formats.elf import EHDR_SIZE, ET_CORE, PF_RWX, PHDR_SIZE, PN_XNUM, PT_LOAD, PT_NOTE, ProgramHeader
from warmboot.formats.elf import pack_headers as pack

if TYPE_CHECKING:
    from warmboot.dump.page_filter import PageFilter
    from warmboot.dump.sinks import Sink
    from warmboot.dump.source import Mapped, Source

__all__ = ["write_elf"]

_HOLE = 256  # pages
_AT_ONCE = 1 << 20  # bytes that are written in one go


def write_elf(
    source: Source,
    pages: PageFilter,
    sink: Sink,
    *,
    threads: int,
    progress: Progress | None = None,
    written: Written | None = None,
) -> Written:
    """Write what `pages` keeps. Raises SinkError; `written` is then what there is."""
    done = Written() if written is None else written
    for section in pages.sections():
        done.pages.update(count_rules(section.rules))
    hole = _HOLE
    runs = list(_runs(source, pages, threads, done, hole))
    size = pages.page_size
    while (count := 1 + sum(1 for _ in _parts(source.segments, runs, 0, size))) >= PN_XNUM:
        hole *= 4
        runs = list(_joined(source, pages.page_size, runs, hole))
    notes_at = EHDR_SIZE + count * PHDR_SIZE
    begin = notes_at + len(source.notes)  # no page border: there, makedumpfile 1.7.8 maps more than the file has
    parts = list(_parts(source.segments, runs, begin, size))
    notes = ProgramHeader(PT_NOTE, 0, notes_at, 0, 0, len(source.notes), len(source.notes), 4)
    sink.write_at(0, pack(ET_CORE, [notes, *map(_header, parts)]) + source.notes)
    done.kept = sum(part.stop - part.start for part in parts) // size
    done.bytes = begin + done.kept * size
    for part in parts:
        for start in range(part.start, part.stop, _AT_ONCE):
            stop = min(part.stop, start + _AT_ONCE)
            _copy(source, sink, range(start, stop), part.offset + start - part.start, size, done)
            if progress:
                progress(done.packed, done.kept, sink.written)
    return done


def _copy(source: Source, sink: Sink, addresses: range, at: int, size: int, done: Written) -> None:
    try:
        data = source.view(addresses.start, len(addresses))
    except DumpError:
        if len(addresses) <= size:
            done.unreadable += 1
            done.first_unreadable = done.first_unreadable or addresses.start // size
            return
        half = len(addresses) // size // 2 * size or size
        _copy(source, sink, addresses[:half], at, size, done)
        _copy(source, sink, addresses[half:], at + half, size, done)
        return
    sink.write_at(at, data)
    done.packed += len(addresses) // size


def _runs(source: Source, pages: PageFilter, threads: int, done: Written, hole: int) -> Iterator[range]:
    """Frames to write, lowest first, with the small holes."""
    zeros = bool(pages.level & Level.ZERO)
    return _joined(source, pages.page_size, _kept(source, pages, threads, done, zeros=zeros), hole)


def _kept(source: Source, pages: PageFilter, threads: int, done: Written, *, zeros: bool) -> Iterator[range]:
    for job in looked_pages(source, pages, threads=threads, zeros=zeros):
        for kind, first, count in job.pieces:
            if kind is Kind.ZERO:
                done.pages[Rule.ZERO] += count
                done.pages[Rule.KEPT] -= count
            else:
                yield range(first, first + count)


def _joined(source: Source, size: int, runs: Iterator[range] | Sequence[range], hole: int) -> Iterator[range]:
    """The runs, with the holes of fewer than `hole` pages that the source has the bytes of."""
    last: range | None = None
    for run in runs:
        if last and run.start - last.stop < hole and source.ranges.covers(last.stop * size, run.start * size):
            last = range(last.start, run.stop)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


@dataclass(frozen=True, slots=True)
class _Part:
    """Physical addresses from `start` to `stop` that are in the file at `offset`; a hole follows, up to `end`."""

    virtual: int
    start: int
    stop: int
    end: int
    offset: int


def _parts(segments: Sequence[Mapped], runs: Sequence[range], begin: int, size: int) -> Iterator[_Part]:
    """The parts of each segment, in the order of the file, in which what is left out is a hole."""
    at = begin
    for segment in segments:
        end = segment.physical + segment.size
        found = [
            (max(run.start * size, segment.physical), min(run.stop * size, end))
            for run in runs
            if run.start * size < end and segment.physical < run.stop * size
        ]
        if not found or found[0][0] > segment.physical:
            found.insert(0, (segment.physical, segment.physical))
        for number, (start, stop) in enumerate(found):
            follows = found[number + 1][0] if number + 1 < len(found) else end
            yield _Part(segment.virtual + start - segment.physical, start, stop, follows, at if stop > start else 0)
            at += stop - start


def _header(part: _Part) -> ProgramHeader:
    filled, whole = part.stop - part.start, part.end - part.start
    return ProgramHeader(PT_LOAD, PF_RWX, part.offset, part.virtual, part.start, filled, whole, 0)
