"""`dump check` and `dump diff` on real dumps: what is wrong is named, what differs is what the filter left out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.small_dumps import PAGE, dump_files
from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.dump.check import Soundness, check_dump
from warmboot.dump.diff import Difference, diff_dumps
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.kdump_core import KdumpCore
from warmboot.dump.kdump_header import DESCRIPTOR, HEADER
from warmboot.dump.opening import open_dump
from warmboot.dump.save import SavePlan, save

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

USAGE = 2


@pytest.fixture
def dumps(tmp_path: Path) -> dict[str, Path]:
    return dump_files(tmp_path)


def damaged(path: Path) -> dict[str, str]:
    return {each.part: each.what for each in check_dump(open_dump(path)).findings if each.soundness == "damaged"}


def patch(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("name", ["elf", "kdump", "flat", "one"])
def test_a_sound_dump(name: str, dumps: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    found = check_dump(open_dump(dumps[name]))
    assert [each for each in found.findings if each.soundness is Soundness.DAMAGED and each.part != "tasks"] == []
    assert main(["dump", "check", str(dumps[name])]) in (0, 1)
    assert "sound" in capsys.readouterr().out


def test_whole_dumps_are_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for series in ("5.10", "6.1", "6.12", "7.2"):
        assert main(["dump", "check", str(vmcore(series))]) == 0
        assert capsys.readouterr().out.endswith("whole and sound\n")
    assert save(ElfCore(vmcore("6.12")), SavePlan((tmp_path / "out",), threads=2)).complete
    assert main(["dump", "check", "--json", str(tmp_path / "out")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["sound"] is True
    assert answer["pages"]["damaged"] == answer["pages"]["lost"] == answer["pages"]["beyond"] == 0
    assert answer["works"] == ["dmesg", "read", "tasks", "modules", "bt"]


def test_a_page_that_does_not_unpack(dumps: dict[str, Path]) -> None:
    core = KdumpCore(dumps["kdump"])
    at = core.rows_at + 3 * DESCRIPTOR.size
    offset = int.from_bytes(core.part_of_file(at, 8), "little")
    frame = core.bitmaps.frame(3)
    del core
    patch(dumps["kdump"], offset, b"\xff" * 8)
    assert f"page {frame:#x}: at offset {offset:#x}: " in damaged(dumps["kdump"])["pages"]
    patch(dumps["kdump"], at, bytes(8))
    assert f"page {frame:#x}: it did not arrive" in damaged(dumps["kdump"])["pages"]
    patch(dumps["kdump"], at, b"\xff" * 7 + b"\x7f")
    assert "beyond the end of the file" in damaged(dumps["kdump"])["pages"]


def test_a_bitmap_that_lies(dumps: dict[str, Path]) -> None:
    fields = HEADER.unpack_from(dumps["kdump"].read_bytes()[:PAGE])
    patch(dumps["kdump"], (1 + fields[7]) * PAGE, bytes(PAGE))
    assert "that were no memory" in damaged(dumps["kdump"])["bitmaps"]


@pytest.mark.parametrize("name", ["elf", "kdump", "flat"])
def test_what_is_cut_off(name: str, dumps: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    size = dumps[name].stat().st_size
    for part in (2, 3, 10):
        os.truncate(dumps[name], size - size // part)
        found = damaged(dumps[name])
        assert found
        assert main(["dump", "check", str(dumps[name])]) == 1
        assert "what works: " in capsys.readouterr().out
        size -= size // part
    os.truncate(dumps[name], 3)
    assert main(["dump", "check", str(dumps[name])]) == USAGE


def test_notes_that_lie(dumps: dict[str, Path]) -> None:
    at = dumps["elf"].read_bytes().index(b"CORE\0\0\0\0") - 8
    patch(dumps["elf"], at, b"\xff\xff\xff\x7f")
    assert "is longer than the notes" in damaged(dumps["elf"])["notes"]


@pytest.mark.parametrize("form", ["kdump", "elf", "flattened"])
def test_a_filtered_dump_lacks_what_the_filter_left_out(form: str, tmp_path: Path) -> None:
    source = ElfCore(vmcore("6.12"))
    saved = save(source, SavePlan((tmp_path / "out",), level=30, format=form, threads=2))
    found = diff_dumps(source, open_dump(tmp_path / "out"))
    kinds = {each.kind: each.pages for each in found.kinds}
    assert {each.difference for each in found.kinds} == {Difference.ONLY_A}
    assert found.differs == found.only_b == found.unreadable == 0
    assert found.same_kernel
    if form != "elf":  # which keeps small holes
        left_out = ("cache", "cache_private", "user", "free", "hugetlb", "unaccepted", "hwpoison", "offline")
        assert kinds == {name: saved.pages[name] for name in left_out if name in saved.pages}
        assert found.equal == saved.kept
    assert sum(each.pages for each in found.ranges) == found.only_a
    back = diff_dumps(open_dump(tmp_path / "out"), source)
    assert (back.only_b, back.only_a, back.equal) == (found.only_a, 0, found.equal)
    assert {each.kind: each.pages for each in back.kinds} == kinds


def test_before_and_after(dumps: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    core = ElfCore(dumps["elf"])
    frames = [run.start // PAGE for run in core.ranges.runs()][5:200:60]
    changed = dumps["elf"].with_name("after")
    changed.write_bytes(dumps["elf"].read_bytes())
    for frame in frames:
        found = core._layers.find(frame * PAGE + 100)
        assert found is not None
        patch(changed, found[0], b"changed")
    answer = diff_dumps(core, ElfCore(changed))
    assert [each.start // PAGE for each in answer.ranges] == frames
    assert (answer.differs, answer.only_a, answer.only_b) == (len(frames), 0, 0)
    assert main(["dump", "diff", str(dumps["elf"]), str(changed)]) == 1
    assert f"{len(frames)} differs, 0 only in A" in capsys.readouterr().out
    assert main(["dump", "diff", str(dumps["elf"]), str(dumps["kdump"])]) == 0
    assert main(["dump", "diff", "--json", str(dumps["elf"]), str(dumps["flat"])]) == 0


def test_several_files_for_every_command(dumps: dict[str, Path], tmp_path: Path) -> None:
    """The files of a split dump, in folders of their own, so that none lies beside another."""
    parts = []
    for name in ("two", "one"):
        (tmp_path / f"only {name}").mkdir()
        parts.append(str(dumps[name].rename(tmp_path / f"only {name}" / name)))
    for words in (["info"], ["dmesg"], ["modules"], ["bt"], ["check"]):
        assert main(["dump", *words, *parts]) in (0, 1)
    assert main(["dump", "read", *parts, "init_uts_ns"]) == 0
    assert main(["dump", "read", *parts, "init_uts_ns", "16"]) == 0
    assert main(["dump", "read", "--physical", *parts, "0xfffffffff000", "16"]) == 1
    assert main(["dump", "why", *parts, "4096"]) == 0
    for command in ("save", "convert"):
        out = tmp_path / command
        assert main(["dump", command, *parts, str(out)]) == 0
        assert diff_dumps(open_dump(dumps["kdump"]), open_dump(out)).differs == 0
    assert main(["dump", "save", parts[0]]) == USAGE
