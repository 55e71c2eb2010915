"""Writing a kdump-compressed dump, header version 6: to one file, a part of several, or a pipe.

The header says "incomplete" until the last byte is written. The room for descriptors is reserved first, and a
descriptor is written after its page, so that a dump that is cut off is readable as far as it goes: a descriptor of
zeros is a page that did not arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import accumulate, repeat
from typing import TYPE_CHECKING

from warmboot.dump.kdump_header import DESCRIPTOR, HeaderFields, Status, bitmap_size, pack_header, pack_sub_header
from warmboot.dump.page_codecs import CODECS
from warmboot.dump.page_jobs import Done, Kind, packed_pages
from warmboot.dump.page_rules import Level, Rule
from warmboot.dump.source import note_facts, utsname

if TYPE_CHECKING:
    from warmboot.dump.page_filter import PageFilter
    from warmboot.dump.sinks import Sink
    from warmboot.dump.source import Source

__all__ = ["Written", "count_rules", "header_fields", "write_kdump"]

Progress = Callable[[int, int, int], None]  # pages done, pages in all, bytes written


@dataclass(slots=True)
class Written:
    """What became of every page; pages are counted by rule. `bytes` are those of the dump."""

    pages: Counter[Rule] = field(default_factory=Counter)
    packed: int = 0  # pages that are in the dump with bytes of their own
    unreadable: int = 0
    first_unreadable: int | None = None  # its frame
    bytes: int = 0
    kept: int = 0  # pages that were to be written, zeros too


def header_fields(source: Source, pages: PageFilter, codec: str, now: int) -> HeaderFields:
    """The headers of a whole dump, marked incomplete; `now` is in seconds since 1970, for a dump without a time."""
    info = source.vmcoreinfo
    processors, at, size = note_facts(source.notes)
    crashed = info.lines.get("CRASHTIME", "")
    return HeaderFields(
        utsname=utsname(source),
        time=int(crashed) if crashed.isascii() and crashed.isdecimal() and len(crashed) < 19 else now,
        status=int(CODECS[codec]) | Status.INCOMPLETE,
        page_size=pages.page_size,
        max_mapnr=pages.end,
        cpus=max(1, processors),
        phys_base=info.number("phys_base") or 0,
        level=pages.level,
        notes=source.notes,
        vmcoreinfo_at=at,
        vmcoreinfo_size=size,
    )


def write_kdump(
    source: Source,
    pages: PageFilter,
    sink: Sink,
    codec: str,
    *,
    threads: int,
    now: int,
    part: range | None = None,
    progress: Progress | None = None,
    written: Written | None = None,
) -> Written:
    """Write what `pages` keeps, or the frames of a `part` of it; all parts have the same `now`.

    Raises SinkError; `written` is then what there is.
    """
    done = Written() if written is None else written
    fields = replace(header_fields(source, pages, codec, now), part=part)
    sink.write_at(0, pack_header(fields))
    sink.write_at(fields.page_size, pack_sub_header(fields))
    done.kept, total = _write_bitmaps(pages, fields, sink, done, part)
    sink.reserve(fields.descriptors_at, done.kept * DESCRIPTOR.size)
    # The file of a part has room for the descriptors of all: so makedumpfile finds its page of zeros.
    end = fields.descriptors_at + total * DESCRIPTOR.size
    data = _Data(fields, sink, done, end, zeros=bool(pages.level & Level.ZERO))
    for each in packed_pages(source, pages, codec, threads=threads, zeros=bool(pages.level & Level.ZERO), part=part):
        data.add(each)
        if progress:
            progress(data.index, done.kept, sink.written)
    done.bytes = data.end
    if not done.unreadable:
        fields = replace(fields, status=fields.status & ~Status.INCOMPLETE)
    sink.write_at(0, pack_header(fields))
    return done


def _write_bitmaps(
    pages: PageFilter, fields: HeaderFields, sink: Sink, done: Written, part: range | None
) -> tuple[int, int]:
    """Write both bitmaps; the number of pages of the part, and of the dump. Without memory the file reads as zeros."""
    size, kept, total = bitmap_size(fields.max_mapnr, fields.page_size), 0, 0
    for section in pages.sections():
        counts = count_rules(section.rules)
        done.pages.update(counts)
        at = fields.bitmaps_at + section.first // 8
        sink.write_at(at, _bits(section.rules.translate(_VALID)))
        dumped = section.rules.translate(_DUMPED)
        sink.write_at(at + size, _bits(dumped))
        total += dumped.count(b"1")
        if part is not None:
            dumped = dumped[max(0, part.start - section.first) : max(0, part.stop - section.first)]
        kept += dumped.count(b"1")
    sink.write_at(fields.bitmaps_at + 2 * size - 1, b"\0")
    return kept, total


_VALID = bytes(b"01"[rule != Rule.HOLE] for rule in range(256))
_DUMPED = bytes(b"01"[rule < Rule.HOLE] for rule in range(256))


def _bits(digits: bytes) -> bytes:
    """A bit for each digit, the first one in the lowest bit of the first byte."""
    return int(digits[::-1], 2).to_bytes(-(-len(digits) // 8), "little")


def count_rules(rules: bytes) -> dict[Rule, int]:
    """How many pages there are of each rule."""
    return {rule: rules.count(rule) for rule in Rule if rule in rules}


class _Data:
    """Pages and their descriptors, written as they come."""

    def __init__(self, fields: HeaderFields, sink: Sink, done: Written, end: int, *, zeros: bool) -> None:
        self._fields, self._sink, self._done = fields, sink, done
        self.index = 0  # of the next descriptor
        self.end = end
        self._zero = DESCRIPTOR.pack(self.end, fields.page_size, 0, 0)
        if zeros:  # all pages of zeros share one
            sink.write_at(self.end, bytes(fields.page_size))
            self.end += fields.page_size

    def add(self, job: Done) -> None:
        """Write a job's pages, then their descriptors."""
        rows, done = list[bytes](), self._done
        packed = list[bytes]()
        data = list[bytes | memoryview]()
        end = self.end
        for part in job.packed:
            ends = list(accumulate(part.sizes, initial=end))
            packed += map(DESCRIPTOR.pack, ends, part.sizes, part.flags, repeat(0))
            data += part.data
            end = ends[-1]
        if data:  # a record of nothing is none that makedumpfile -R takes
            self._sink.write_at(self.end, data)
        self.end, at = end, 0
        for kind, first, count in job.pieces:
            match kind:
                case Kind.PACKED:
                    rows += packed[at : at + count]
                    at += count
                case Kind.ZERO:
                    rows.append(self._zero * count)
                    done.pages[Rule.ZERO] += count
                    done.pages[Rule.KEPT] -= count
                case Kind.UNREADABLE:
                    rows.append(bytes(DESCRIPTOR.size * count))
                    done.unreadable += count
                    if done.first_unreadable is None:
                        done.first_unreadable = first
        done.packed += at
        told = b"".join(rows)
        self._sink.write_at(self._fields.descriptors_at + self.index * DESCRIPTOR.size, told)
        self.index += len(told) // DESCRIPTOR.size
