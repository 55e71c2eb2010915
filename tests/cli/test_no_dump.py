"""Files that are no dumps: unusable input for every command, by one line that says what was expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from warmboot.cli.main import main

USAGE = 2


@pytest.fixture
def no_dumps(tmp_path: Path) -> list[str]:
    for name, data in {
        "empty": b"",
        "text": b"no dump\n" * 100,
        "cut": b"\x7fELF\x02\x01",
        "ev\x1b[31mil": b"x",
    }.items():
        (tmp_path / name).write_bytes(data)
    return [*map(str, tmp_path.iterdir()), str(tmp_path), str(tmp_path / "missing"), os.devnull, "/dev/zero"]


@pytest.mark.parametrize(
    "words",
    [
        "info",
        "dmesg",
        "tasks",
        "modules",
        "devices",
        "bt",
        "read FILE 0x1000",
        "why FILE 1",
        "save FILE o",
        "convert FILE o",
    ],
)
def test_no_dump(
    words: str,
    no_dumps: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    command, *rest = words.split()
    for name in no_dumps:
        assert main(["dump", command, *([name if each == "FILE" else each for each in rest] or [name])]) == USAGE
        said = capsys.readouterr()
        assert said.out == ""
        assert "\x1b" not in said.err
        problem, hint = said.err.splitlines()
        assert problem.startswith("warmboot: ")
        assert hint.startswith("  try: ")
    assert list(Path().iterdir()) == []


def test_no_kernel_for_a_reservation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (str(tmp_path), str(tmp_path / "missing"), os.devnull):
        assert main(["crashkernel", name]) == USAGE
        assert capsys.readouterr().err.startswith("warmboot: ")
