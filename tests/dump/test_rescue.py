"""Dumps that lost something: without headers, without VMCOREINFO, split, cut off. The log is that of the whole dump."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import warmboot
from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.log import log_records
from warmboot.dump.opening import open_dump
from warmboot.dump.page_runs import PageRuns, only
from warmboot.dump.save import SavePlan, save
from warmboot.dump.source import Source
from warmboot.formats.elf import PT_NOTE, header, program_headers
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, merge

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]


@pytest.fixture(scope="module")
def whole() -> ElfCore:
    return ElfCore(vmcore("6.12"))


@pytest.fixture(scope="module")
def parts(whole: ElfCore, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("parts")
    paths = tuple(folder / name for name in ("b", "a", "c"))
    assert save(whole, SavePlan(paths, level=31, threads=2)).complete
    return list(paths)


def same_log(read: Source, whole: Source) -> bool:
    return list(log_records(read)) == list(log_records(whole))


def test_split_dumps_are_one(parts: list[Path], whole: ElfCore, tmp_path: Path) -> None:
    given_all = open_dump(parts[2], parts[0], parts[1])
    assert same_log(given_all, whole)
    assert list(open_dump(parts[1]).ranges.runs()) == list(given_all.ranges.runs())  # the others lie beside it
    alone = tmp_path / "alone"
    os.link(parts[1], alone)
    start = next(given_all.ranges.runs()).start
    with pytest.raises(DumpError, match=r"is in another file of this split dump"):
        open_dump(alone).physical(start, 8)
    with pytest.raises(DumpError, match=r"frames 0x[0-9a-f]+ to 0x[0-9a-f]+ are in .* too"):
        open_dump(parts[0], alone, parts[1])
    some = open_dump(parts[0], parts[2])
    with pytest.raises(DumpError, match="in none of the files"):
        some.physical(next(open_dump(alone).ranges.runs()).start, 8)
    assert warmboot.open_dump(*parts).vmcoreinfo.release.startswith("6.12")
    assert main(["dump", "info", *map(str, parts)]) == 0


def test_memory_without_headers(whole: ElfCore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        for run in whole.ranges.runs():
            for at in range(run.start, run.stop, 1 << 20):
                file.seek(at)
                file.write(whole.physical(at, min(1 << 20, run.stop - at)))
        file.truncate(512 << 20)
    read = open_dump(raw)
    assert same_log(read, whole)
    assert dict(read.vmcoreinfo.lines) == dict(whole.vmcoreinfo.lines)
    assert main(["dump", "dmesg", str(raw)]) == 0
    assert "sysrq: Trigger a crash" in capsys.readouterr().out


def test_a_core_without_vmcoreinfo(whole: ElfCore, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_bytes(vmcore("6.12").read_bytes())
    with bare.open("r+b") as file:
        head = header(file.read(64))
        assert head is not None
        file.seek(head.phoff)
        for each in program_headers(file.read(head.phnum * head.phentsize), 64):
            if each.type == PT_NOTE:
                file.seek(each.offset)
                file.write(bytes(each.filesz))
    read = open_dump(bare)
    assert not read.notes.strip(b"\0")
    assert dict(read.vmcoreinfo.lines) == dict(whole.vmcoreinfo.lines)
    assert same_log(read, whole)


bitmaps = st.binary(max_size=40).map(lambda data: np.frombuffer(data, np.uint8))


@given(bitmaps, st.integers(0, 330), st.integers(0, 330), st.integers(0, 330))
def test_runs_of_a_bitmap(bitmap: np.ndarray[tuple[int], np.dtype[np.uint8]], frames: int, at: int, to: int) -> None:
    frames = min(frames, len(bitmap) * 8)
    bits = [bool(bitmap[each >> 3] >> (each & 7) & 1) for each in range(frames)]
    plain = RangeSet(
        (each.start, each.end) for each in merge(Range(n * 2, n * 2 + 2) for n in range(frames) if bits[n])
    )
    runs = PageRuns(bitmap, frames, 2)
    assert list(runs.runs()) == list(plain.runs())
    assert bool(runs) == bool(plain)
    assert (at in runs, runs.look(at), runs.find(at)) == (at in plain, plain.look(at), plain.find(at))
    assert runs.covers(at, at + to) == plain.covers(at, at + to)
    assert runs.overlaps(at, to) == plain.overlaps(at, to)
    assert list(runs.within(at, to)) == list(plain.within(at, to))
    mine = PageRuns(only(bitmap, range(at, to)), frames, 2)
    assert list(mine.runs()) == list(plain.within(at * 2, to * 2))
