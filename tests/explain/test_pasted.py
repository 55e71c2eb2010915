"""Pastes as people make them: the last line alone, colours, journals, wraps, other languages, and what is no paste."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from explain.reports import SMALL, failed
from warmboot.cli.main import main
from warmboot.explain.judge import diagnose
from warmboot.explain.signs import SIGNS

_HALF = failed("Invalid argument", (0x21000000, 0x4000000, 0x21000000))


def _wrapped(text: str, columns: int) -> str:
    """As a narrow terminal gives it when it is copied: hard breaks in the middle of words."""
    lines = (each[at : at + columns] for each in text.splitlines() for at in range(0, len(each), columns))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("kexec_load failed: Device or resource busy", "kexec_trylock"),
        ("kexec_load failed: Cannot assign requested addr\ness\n", "crash_range"),
        ("\x1b[1;31mkexec_file_load failed: Text file busy\x1b[0m\r\n", "file_writers"),
        ("Nov 11 09:13:02 box kexec[811]: kexec_load failed: Function not implemented", "config_kexec"),
        ("2026-11-11T09:13:02+0100 box kexec[811]: kexec_load failed: Function not implemented", "config_kexec"),
        ("kexec_load failed: Das Ger\u00e4t oder die Ressource ist belegt", "kexec_trylock"),
        ("kexec_file_load failed: \u53ef\u6267\u884c\u6587\u4ef6\u683c\u5f0f\u9519\u8bef", "image_probe"),
        ("kexec_load failed: \u51fd\u6570\u672a\u5b9e\u73b0", "config_kexec"),
        ("sudo kexec -l vmlinuz\nkexec_load failed: Out of memory", "source_pages"),
    ],
)
def test_a_paste_is_read(text: str, rule: str) -> None:
    assert diagnose(text).findings[0].rule == rule


@pytest.mark.parametrize("columns", range(12, 90))
def test_a_narrow_terminal_makes_no_other_request(columns: int) -> None:
    """A number without its last digits would be refused for another reason, and for certain."""
    found = diagnose(
        _wrapped(f"# kexec -l vmlinuz --initrd=live.img --reuse-cmdline\n{_HALF}", columns), SMALL
    ).findings
    assert all(each.rule == "half_of_memory" for each in found if each.confidence == "certain")
    if columns >= 26:
        assert (found[0].rule, found[0].confidence) == ("half_of_memory", "certain")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x7fELF\2\1\1\0\0\0" * 20, "no text, it has zero bytes"),
        (b"segment[4].memsz = 0x9000\n", "segments alone"),
        (b"\xff\xfe\xfa" * 100, "nothing in it"),
        (b"", "nothing in it"),
        (b"kexec " * (1 << 20), "more than 4 MiB"),
    ],
)
def test_what_is_no_paste(data: bytes, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line what, one line what helps."""
    path = tmp_path / "pasted"
    path.write_bytes(data)
    assert main(["explain", str(path), "--no-facts"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert what in first
    assert second


def test_a_hundred_mebibytes_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    assert main(["explain", str(path), "--no-facts"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("text", ["{}", '{"release": 6}', "[1, 2]", "not json", '{"warmboot": 99, "facts": {}}'])
def test_facts_of_another_version(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "facts.json").write_text(text)
    (tmp_path / "failed.txt").write_text(_HALF)
    assert main(["explain", str(tmp_path / "failed.txt"), "--like", str(tmp_path / "facts.json")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "facts.json" in lines[0]
    assert sys.exc_info() == (None, None, None)


@pytest.mark.parametrize("blank", [b"\n", b" \n", b"\t\n", b"# \n", b"#\n\r"])
def test_blank_lines_take_no_time(blank: bytes, tmp_path: Path) -> None:
    """Four million of them, with a failure in front: by the square of their number it would take days."""
    (tmp_path / "paste").write_bytes(
        b"kexec_load failed: Device or resource busy\n" + blank * ((3 << 20) // len(blank))
    )
    code = (
        "import re, sys; from pathlib import Path; from warmboot.cli.main import main; status = main(sys.argv[1:]);"
        r"print(re.search(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[1], status)"
    )
    command = [sys.executable, "-c", code, "explain", str(tmp_path / "paste"), "--no-facts", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    memory, status = done.stdout.split()[-2:]
    assert status == "0"
    assert '"kexec_trylock"' in done.stdout
    assert int(memory) < 200 << 10


@pytest.mark.parametrize(
    "words", [["--list", "half_of_memory"], ["half_of_memory", "--list"], ["EINVAL", "--like", "x", "--no-facts"]]
)
def test_nothing_that_is_asked_is_ignored(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_no_pattern_looks_ahead_at_each_character() -> None:
    """Which takes time by the square of a line's length: minutes for a long paste."""
    assert [each.pattern.pattern for each in SIGNS if re.match(r"\(\?[=!]|\.\*", each.pattern.pattern)] == []
