"""Kernels that are none: what a guest says in our agent's place writes no file and steers no terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.speakers import console_speaker, setup_speaker
from warmboot.cli.main import main

pytestmark = pytest.mark.needs_qemu


@pytest.fixture
def operations(tmp_path: Path) -> Path:
    path = tmp_path / "operations.jsonl"
    path.write_text(json.dumps({"do": "sysctl", "name": "kernel.kexec_load_disabled", "value": "1"}) + "\n")
    return path


def test_a_guest_names_no_file(operations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "written-by-guest"
    up = "../" * 8 + str(written)
    kernel = setup_speaker(tmp_path / "kernel", rf"f {up} 6f776e65640a\na 0 0 0\n")
    assert main(["record", "--kernel", str(kernel), "--memory", "256M", str(operations)]) == 2
    assert "nobody asked for that file" in capsys.readouterr().err
    assert not written.exists()


def test_a_guest_steers_no_terminal(operations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = setup_speaker(tmp_path / "kernel", r"x \033]0;owned\007\033[31mred\n")
    assert main(["record", "--kernel", str(kernel), "--memory", "256M", str(operations)]) == 2
    said = capsys.readouterr()
    assert "\\x1b]0;owned\\x07" in said.err
    assert "\x1b" not in said.out + said.err


def test_a_console_that_never_ends_ends_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = console_speaker(tmp_path / "kernel", b"A\n" * 30000, again=True)
    assert main(["rehearse", str(kernel), "--timeout", "2", "--json"]) in (1, 4)
    [boot] = [each for each in json.loads(capsys.readouterr().out)["stages"] if each["name"] == "boot"]
    assert "in time" in boot["problem"]


def test_a_number_of_4301_digits_is_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = console_speaker(tmp_path / "kernel", b"smp: Brought up 1 node, " + b"9" * 4301 + b" CPUs\n", again=False)
    assert main(["rehearse", str(kernel), "--timeout", "3", "--json"]) in (1, 4)
    [boot] = [each for each in json.loads(capsys.readouterr().out)["stages"] if each["name"] == "boot"]
    assert boot["figures"]["processors"] is None
