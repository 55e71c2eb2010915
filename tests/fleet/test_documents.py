"""Facts in files, folders and streams: whatever is in them, machines and problems come out, in bounded memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.fleet import documents as module
from warmboot.fleet.answers import Document, Problem
from warmboot.fleet.documents import chunks, documents
from warmboot.memmap import Facts

ONE = Facts.of_pc(1 << 30)


def test_every_form(tmp_path: Path) -> None:
    line = json.dumps(ONE.members())
    (tmp_path / "one.json").write_text(ONE.to_json())
    (tmp_path / "lines.jsonl").write_text(f"{line}\n\n{line}\n")
    (tmp_path / "joined.json").write_text(f"{ONE.to_json()}\n{ONE.to_json()}\n{line}\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "host.json").write_text(line)
    (tmp_path / "ignored.txt").write_text("no facts")
    found = list(documents([str(tmp_path)]))
    assert all(isinstance(each, Document) and Facts.from_json(each.text) == ONE for each in found)
    assert [each.name for each in found if isinstance(each, Document)] == [
        *("host", "joined"),
        *(f"joined:{len(ONE.to_json().splitlines()) * times + 1}" for times in (1, 2)),
        *("lines", "lines:3", "one"),
    ]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(json.dumps(ONE.members()).encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    [found] = documents(["-"])
    assert isinstance(found, Document)
    assert found.source == "standard input"


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        (b"", "f.json", "nothing is in it"),
        (b"\n \n", "f.json", "nothing is in it"),
        (
            b"kexec_load failed: Invalid argument\n" * 1000,
            "f.json:1",
            "Invalid argument' is no JSON",
        ),
        (b'{\n  "release": "6.12"\n', "f.json:1", "an object that does not end"),
        (b"\x1b[2Jx", "f.json:1", r"'\x1b[2Jx' is no JSON object"),
    ],
)
def test_a_file_of_something_else(tmp_path: Path, text: bytes, source: str, message: str) -> None:
    (tmp_path / "f.json").write_bytes(text)
    [problem] = documents([str(tmp_path / "f.json")])
    assert isinstance(problem, Problem)
    assert problem.source == str(tmp_path / source)
    assert message in problem.message


def test_lines_that_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    (tmp_path / "f").write_bytes(b"{}\n{" + b"x" * 1000 + b"}\n{}\n{\n" + b"y\n" * 100)
    found = list(documents([str(tmp_path / "f")]))
    assert [type(each) for each in found] == [Document, Problem, Document, Problem]
    assert [each.source.rpartition(":")[2] for each in found[1:]] == ["2", "3", "4"]


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (("missing", "No such file"), ("empty", "no file that ends with")):
        [problem] = documents([str(tmp_path / name)])
        assert isinstance(problem, Problem)
        assert words in problem.message


@given(st.lists(st.sampled_from([b"{", b"}", b"{}", b" x", b"", b"\xff", b'{"a": 1}']), max_size=30))
def test_any_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(b"\n".join(lines))
    found = list(documents([str(path)]))
    assert found
    assert [each for chunk in chunks(found) for each in chunk] == found


def test_what_would_never_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody writes to, and a device, among the files of a folder; a line without an end."""
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    (tmp_path / "a.json").write_text(json.dumps({}))
    os.mkfifo(tmp_path / "b.json")
    (tmp_path / "c.json").symlink_to("/dev/zero")
    (tmp_path / "d.json").symlink_to("/nowhere")
    found = list(documents([str(tmp_path), "/dev/zero"]))
    assert isinstance(found[0], Document)
    told = [each.message for each in found if isinstance(each, Problem)]
    assert len(told) == 4
    assert told[0] == told[1] == "a folder, a device or a pipe, and no file"
    assert told[2].startswith("cannot be read: No such file")
    assert "is no JSON object" in told[3] or "more than 1000 bytes" in told[3]


def test_folders_in_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a path has room for."""
    monkeypatch.chdir(tmp_path)
    for _ in range(1500):
        Path("a").mkdir()
        os.chdir("a")
    os.chdir(tmp_path)
    try:
        [problem] = documents(["a"])
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "a")], check=True, timeout=120)
    assert isinstance(problem, Problem)
    assert "more than 64 folders" in problem.message


def test_a_byte_order_mark(tmp_path: Path) -> None:
    """Before one machine or the first of many, as some editors write it."""
    one, many = tmp_path / "one.json", tmp_path / "many.jsonl"
    one.write_bytes(b'\xef\xbb\xbf{\n  "cpus": 1\n}\n')
    many.write_bytes(b'\xef\xbb\xbf{"cpus": 1}\n{"cpus": 2}\n')
    texts = [each.text for each in documents([str(one), str(many)]) if isinstance(each, Document)]
    assert texts == [b'{\n  "cpus": 1\n}\n', b'{"cpus": 1}', b'{"cpus": 2}']
