"""Kdump-compressed dumps as older programs laid them out: header versions 1 to 5 have fewer members each, the older the
fewer. What a version has not is noise here, which must not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.info import dump_info
from warmboot.dump.kdump_core import KdumpCore
from warmboot.dump.kdump_header import HEADER, SUB_HEADER
from warmboot.dump.log import log_records
from warmboot.dump.opening import open_dump
from warmboot.dump.save import SavePlan, save

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

# diskdump_mod.h of makedumpfile: after so many bytes of the sub header a version's members end.
ENDS = {1: 12, 2: 32, 3: 48, 4: 64, 5: 80}


def as_version(path: Path, version: int) -> None:
    with path.open("r+b") as file:
        block = HEADER.unpack(file.read(HEADER.size))[6]
        file.seek(8)
        file.write(version.to_bytes(4, "little"))
        file.seek(block + ENDS[version])
        file.write(b"\xff" * (SUB_HEADER.size - ENDS[version]))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("versions") / "dump"
    assert save(ElfCore(vmcore("6.12")), SavePlan((path,), threads=2)).complete
    return path


@pytest.mark.parametrize("version", ENDS)
def test_an_older_header(version: int, saved: Path, tmp_path: Path) -> None:
    newest, older = saved.read_bytes(), tmp_path / "older"
    older.write_bytes(newest)
    as_version(older, version)
    read, whole = KdumpCore(older), open_dump(saved)
    assert read.version == version
    assert read.problems == []
    assert read.noted == (version >= 3)
    assert bool(read.notes) == (version >= 4)
    assert dict(read.vmcoreinfo.lines) == dict(whole.vmcoreinfo.lines)
    assert list(log_records(read)) == list(log_records(whole))
    assert list(read.ranges.runs()) == list(whole.ranges.runs())
    assert dump_info(read) == dump_info(whole)


@pytest.mark.parametrize("version", [2, 3, 5])
def test_an_older_split_dump(version: int, saved: Path, tmp_path: Path) -> None:
    parts = (tmp_path / "a", tmp_path / "b")
    assert save(open_dump(saved), SavePlan(parts, level=0, threads=2)).complete
    for each in parts:
        as_version(each, version)
    assert list(log_records(open_dump(*parts))) == list(log_records(open_dump(saved)))
    assert list(open_dump(parts[0]).ranges.runs()) == list(open_dump(saved).ranges.runs())  # the other lies beside it
