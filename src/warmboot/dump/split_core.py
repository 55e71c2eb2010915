"""Split dumps, opened as one: each file has the pages of its frames (makedumpfile --split)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warmboot.dump import arch
from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_header import HEADER, SIGNATURE, SUB_HEADER, sub_header
from warmboot.dump.page_runs import PageRuns
from warmboot.dump.translated import read_virtual
from warmboot.dump.vmcoreinfo_search import search_vmcoreinfo
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.kdump_core import KdumpCore
    from warmboot.dump.source import Mapped
    from warmboot.dump.vmcoreinfo import Vmcoreinfo
    from warmboot.memmap.range_set import RangeSet

__all__ = ["SplitCore", "siblings"]

_SPLIT_AT = 12  # where the sub header says that a dump is split
_MOST_FILES = 4096  # that are looked at beside one
_HINT = "give all the files that one `save --split` or `makedumpfile --split` wrote"


class SplitCore:
    """The memory of all the files; what is in a file that is missing is a DumpError where it is read."""

    def __init__(self, parts: Sequence[KdumpCore], paths: Sequence[Path]) -> None:
        """Raises DumpError where the files are not of one dump."""
        self._name = ", ".join(visible(str(path)) for path in paths)
        pieces: list[tuple[int, int, KdumpCore, Path]] = []
        for part, path in zip(parts, paths, strict=True):
            if part.part is None or part.part.start > part.part.stop:  # makedumpfile's may have no frame
                at = part.page_size + _SPLIT_AT
                raise DumpError(
                    f"{visible(str(path))}: at offset {at:#x}: the frames of a file of a split dump were expected",
                    hint=_HINT,
                )
            pieces.append((part.part.start, part.part.stop, part, path))
        pieces.sort(key=lambda each: each[:2])
        first, first_path = pieces[0][2:]
        for *_, path in pieces:
            if _same(path) != _same(first_path):
                raise DumpError(
                    f"{visible(str(path))}: at offset 0: it is of another dump than {visible(str(first_path))}, the "
                    "same headers were expected",
                    hint=_HINT,
                )
        for before, after in pairwise(pieces):
            if before[1] > after[0]:
                raise DumpError(
                    f"{visible(str(after[3]))}: frames {after[0]:#x} to {before[1]:#x} are in "
                    f"{visible(str(before[3]))} too",
                    hint=_HINT,
                )
        self.page_size: int = first.page_size
        self._parts = [each[2] for each in pieces]
        self._starts = [each[0] * self.page_size for each in pieces]
        self._stops = [each[1] * self.page_size for each in pieces]
        self.machine: str = first.machine
        self.notes: bytes = first.notes
        if {part.frames for part in self._parts} != {first.frames}:
            raise DumpError(f"{self._name}: their bitmaps are not of the same size", hint=_HINT)
        there = np.bitwise_or.reduce([part.bitmaps.mine for part in self._parts])
        self.memory: RangeSet = first.memory
        self.ranges: RangeSet = PageRuns(there, first.frames, self.page_size)
        self.left_out: RangeSet = PageRuns(~there & first.bitmaps.valid, first.frames, self.page_size)

    @cached_property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """As Memory says; where no file's headers have it, it is searched for in the memory of all."""
        noted = next((part for part in self._parts if part.noted), None)
        return noted.vmcoreinfo if noted else search_vmcoreinfo(self.machine, self.ranges, self.physical)

    @property
    def cut_off(self) -> RangeSet:
        """Pages whose descriptors are beyond the end of their file."""
        first = self._parts[0]
        gone = np.bitwise_or.reduce([part.bitmaps.gone for part in self._parts])
        return PageRuns(gone, first.frames, self.page_size)

    @property
    def noted(self) -> bool:
        """Whether VMCOREINFO is in the headers."""
        return self._parts[0].noted

    @property
    def strange(self) -> int:
        """How many pages are in the dump that were no memory."""
        return sum(part.strange for part in self._parts)

    @property
    def whole(self) -> bool:
        """Whether each file has its end."""
        return all(part.whole for part in self._parts)

    @property
    def parts(self) -> Sequence[KdumpCore]:
        """The files' readers, by their frames."""
        return self._parts

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """As Source says: those of each file, and the memory that is in a file that was not given."""
        last = max((run.stop for run in self.memory.runs()), default=0)
        borders = zip((0, *self._stops), (*self._starts, last), strict=True)
        missing = (
            f"memory from {start:#x} to {stop:#x} is in a file of the dump that was not given"
            for start, stop in borders
            if self.memory.overlaps(start, stop)
        )
        return (*(each for part in self._parts for each in part.problems), *missing)

    def physical(self, address: int, size: int) -> bytes:
        """As Memory says."""
        pieces = []
        while size:
            number = bisect_right(self._starts, address) - 1
            if number < 0 or address >= self._stops[number]:
                raise DumpError(f"{self._name}: physical address {address:#x} is in none of the files", hint=_HINT)
            count = min(size, self._stops[number] - address)
            pieces.append(self._parts[number].physical(address, count))
            address, size = address + count, size - count
        return b"".join(pieces)

    def view(self, address: int, size: int) -> memoryview:
        """As Source says; a copy."""
        return memoryview(self.physical(address, size))

    def virtual(self, address: int, size: int) -> bytes:
        """As Memory says."""
        return read_virtual(self, self._name, address, size)

    @property
    def segments(self) -> tuple[Mapped, ...]:
        """As Source says. Raises DumpError where the kernel does not say."""
        from warmboot.dump.source import Mapped  # noqa: PLC0415 - for writers alone

        text, base = arch.of(self.machine).kernel_map(self)
        return (*text, *(Mapped(run.start, base + run.start, len(run)) for run in self.memory.runs()))


def siblings(path: Path) -> list[Path]:
    """The files of the split dump that this file is one of, if they lie beside it and are all: else the file alone."""
    mine = _same(path)
    if mine is None:
        return [path]
    found = list[tuple[int, int, Path]]()
    try:
        for number, each in enumerate(path.parent.iterdir()):
            if number >= _MOST_FILES:
                return [path]
            if each.is_file() and _same(each) == mine:
                start, stop = _frames(each)
                found += [(start, stop, each)] if start < stop else []
    except OSError:
        return [path]
    found.sort()
    whole = found and found[0][0] == 0 and all(before[1] == after[0] for before, after in pairwise(found))
    if not whole or found[-1][1] < mine[1] or not any(each.samefile(path) for _, _, each in found):
        return [path]
    return [each for _, _, each in found]


def _same(path: Path) -> tuple[bytes, int] | None:
    """What the files of a split dump have in common: headers, and the number of frames. None of any other file."""
    head, sub = _start(path)
    if len(head) < HEADER.size or len(sub) < SUB_HEADER.size or not head.startswith(SIGNATURE):
        return None
    fields, frames = sub_header(sub, HEADER.unpack(head)[1]), HEADER.unpack(head)[9]
    if fields.part is None:
        return None
    return head[:424] + head[428:444] + sub[:16], frames if fields.max_mapnr is None else fields.max_mapnr


def _frames(path: Path) -> tuple[int, int]:
    head, sub = _start(path)
    part = sub_header(sub, HEADER.unpack(head)[1]).part or range(0)
    return part.start, part.stop


def _start(path: Path) -> tuple[bytes, bytes]:
    try:
        with path.open("rb") as file:
            head = file.read(HEADER.size)
            if len(head) == HEADER.size and head.startswith(SIGNATURE):
                block = HEADER.unpack(head)[6]
                file.seek(block if 0 < block <= 65536 else HEADER.size)
                return head, file.read(SUB_HEADER.size)
    except OSError:
        pass
    return b"", b""
