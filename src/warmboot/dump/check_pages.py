"""Every page of a kdump-compressed dump, unpacked: whether it is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_core import KdumpCore
from warmboot.dump.kdump_header import DESCRIPTOR
from warmboot.dump.split_core import SplitCore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmboot.dump.source import Source

__all__ = ["PagesChecked", "check_pages"]

_ROWS = 4096  # descriptors that are read at once
_ROW = np.dtype([("offset", "<u8"), ("size", "<u4"), ("flags", "<u4"), ("page_flags", "<u8")])
_WORDS = {"lost": ": it did not arrive", "beyond": ": at offset {:#x}, beyond the end of the file"}
_MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class PagesChecked:
    """Pages by what became of them: they unpack; they never arrived; they do not unpack to a page; their descriptor or
    their bytes are beyond the end of the file. `problems` names the first ones."""

    sound: int
    lost: int
    damaged: int
    beyond: int
    problems: tuple[str, ...]


def check_pages(source: Source, progress: Callable[[int, int], None] | None = None) -> PagesChecked | None:
    """Every page of all the files; None for a dump of another format, whose pages are as they are."""
    parts: Sequence[KdumpCore]
    if isinstance(source, SplitCore):
        parts = source.parts
    elif isinstance(source, KdumpCore):
        parts = [source]
    else:
        return None
    total = sum(each.bitmaps.rows * each.page_size for each in parts)
    counts, problems, done = {"sound": 0, "lost": 0, "damaged": 0, "beyond": 0}, list[str](), 0
    for core in parts:
        for count, kind, row, what in _looked_at(core):
            counts[kind] += count
            if what and len(problems) < _MOST_PROBLEMS:
                problems.append(f"page {core.bitmaps.frame(row):#x}{what}")
            done += count * core.page_size
            if progress:
                progress(done, total)
    return PagesChecked(**counts, problems=tuple(problems))


def _looked_at(core: KdumpCore) -> Iterator[tuple[int, str, int, str]]:
    """How many pages are of one kind; the row of the first, and what is wrong with it, where it is not a page."""
    whole = min(core.bitmaps.rows, max(0, core.size - core.rows_at) // DESCRIPTOR.size)
    last = np.zeros(1, _ROW)[0]  # a page that is sound; those of zeros share one
    for begin in range(0, whole, _ROWS):
        count = min(_ROWS, whole - begin)
        rows = np.frombuffer(core.part_of_file(core.rows_at + begin * _ROW.itemsize, count * _ROW.itemsize), _ROW)
        lost = (rows["offset"] == 0) | (rows["size"] > core.page_size)
        beyond = ~lost & (rows["offset"] > core.size - np.minimum(rows["size"], core.size))
        for kind, where in (("lost", lost), ("beyond", beyond)):
            if where.any():
                first = int(np.argmax(where))
                yield int(where.sum()), kind, begin + first, _WORDS[kind].format(int(rows["offset"][first]))
        sound = 0
        for number in np.flatnonzero(~lost & ~beyond).tolist():
            row = rows[number]
            what = "" if row == last else _problem(core, *(int(row[each]) for each in ("offset", "size", "flags")))
            if what:
                yield 1, "damaged", begin + number, what
            else:
                last = row
                sound += 1
        yield sound, "sound", begin, ""
    if whole < core.bitmaps.rows:
        yield core.bitmaps.rows - whole, "beyond", whole, " and those after it: no descriptor is in the file"


def _problem(core: KdumpCore, offset: int, size: int, flags: int) -> str:
    """What is wrong with a page, or nothing."""
    try:
        got = len(core.unpacked(flags, core.part_of_file(offset, size)))
    except (DumpError, ValueError) as error:
        return f": at offset {offset:#x}: {error}"
    return "" if got == core.page_size else f": at offset {offset:#x}: {got} bytes"
