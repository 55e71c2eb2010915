"""Traces: what is written reads back, and what is broken is told by its line."""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.cli import replay as command
from warmboot.errors import InputError
from warmboot.memmap import Facts
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.read_trace import read_header, read_operations, read_rows
from warmboot.oracle.calls.trace import (
    BUFFER_PLACES,
    EDGE_LIMIT,
    TABLE_PLACES,
    Answer,
    Buffer,
    CrashSize,
    KexecLoad,
    Operation,
    Sysctl,
    TraceSegment,
)
from warmboot.oracle.calls.write_trace import format_header, format_row
from warmboot.visible import visible

FACTS = Facts.of_pc(1 << 30)
NUMBERS = st.integers(0, (1 << 64) - 1)
BUFFERS = st.one_of(
    st.builds(Buffer, st.sampled_from([each for each in BUFFER_PLACES if each != "edge"]), st.just(0)),
    st.builds(Buffer, st.just("edge"), st.integers(0, EDGE_LIMIT)),
)
SEGMENTS = st.builds(TraceSegment, BUFFERS, NUMBERS, NUMBERS, NUMBERS)
LOADS = st.builds(
    KexecLoad,
    st.sampled_from(["x86_64", "i386"]),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.lists(SEGMENTS, max_size=18).map(tuple),
    st.sampled_from(TABLE_PLACES),
    st.booleans(),
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
OPERATIONS = st.one_of(
    LOADS, st.builds(Sysctl, st.just("kernel.kexec_load_disabled"), TEXT), st.builds(CrashSize, TEXT)
)
STATES = st.sampled_from(["0", "1"])


@given(OPERATIONS, st.integers(-4095, 1 << 40), STATES, STATES)
def test_rows_read_back(operation: Operation, ret: int, loaded: str, crash_loaded: str) -> None:
    answer = Answer(ret, loaded, crash_loaded, "4096" if isinstance(operation, CrashSize) else None)
    [row] = read_rows([format_row(operation, answer)], "trace")
    assert (row.line, row.operation, row.answer) == (2, operation, answer)
    [row] = read_rows([format_row(operation)], "trace")
    assert row.answer is None


def test_header_reads_back() -> None:
    assert read_header(format_header(FACTS), "trace") == FACTS


@pytest.mark.parametrize("place", [each for each in BUFFER_PLACES if each != "edge"])
def test_place_alone(place: str) -> None:
    call = json.loads(format_row(LOAD))
    call["segments"][0]["buf"] = place
    [row] = read_rows([json.dumps(call)], "trace")
    assert isinstance(row.operation, KexecLoad)
    assert row.operation.segments[0].buf == Buffer(place)


LOAD = KexecLoad("x86_64", 0, 62 << 16, 1, (TraceSegment(Buffer(), 1, 0x1000000, 4096),))
GOOD = json.loads(format_row(LOAD, Answer(0, "1", "0")))
BROKEN = {
    "not JSON": "{",
    "no JSON object": "[1]",
    "sysctl or crash_size": json.dumps({**GOOD, "do": "kexec_unload"}),
    "unknown member": json.dumps({**GOOD, "tabel": "null"}),
    '"entry" is -1': json.dumps({**GOOD, "entry": -1}),
    '"flags" is 18446744073709551616': json.dumps({**GOOD, "flags": 1 << 64}),
    '"nr_segments" is true': json.dumps({**GOOD, "nr_segments": True}),
    '"segments" is null': json.dumps({**GOOD, "segments": None}),
    "the segment 7": json.dumps({**GOOD, "segments": [7]}),
    "more than 1000": json.dumps({**GOOD, "segments": GOOD["segments"] * 1001}),
    '"abi" is "arm64"': json.dumps({**GOOD, "abi": "arm64"}),
    '"table" is "edges"': json.dumps({**GOOD, "table": "edges"}),
    '"as" is "root"': json.dumps({**GOOD, "as": "root"}),
    '"at" is "heap"': json.dumps({**GOOD, "segments": [{**GOOD["segments"][0], "buf": "heap"}]}),
    "an edge after": json.dumps(
        {**GOOD, "segments": [{**GOOD["segments"][0], "buf": {"at": "edge", "size": EDGE_LIMIT + 1}}]}
    ),
    '"ret" is "0"': json.dumps({**GOOD, "ret": "0"}),
    '"after" is null': json.dumps({**GOOD, "after": None}),
    '"kexec_loaded" is 1': json.dumps({**GOOD, "after": {"kexec_loaded": 1, "kexec_crash_loaded": "0"}}),
    "dotted name": json.dumps({"do": "sysctl", "name": "../x", "value": "1"}),
    "sysctl's dotted name": json.dumps({"do": "sysctl", "name": "kernel.x 31\nc 30", "value": "1"}),
    "lone surrogate": '{"do": "crash_size", "value": "\\udc80"}',
    "half a character": '{"do": "sysctl", "name": "kernel.x", "value": ["\\uD800"]}',
    "not JSON: Exceeds the limit": json.dumps(GOOD).replace('"entry": 0', f'"entry": {"9" * 4301}'),
    "not a number of 64 bits": json.dumps({**GOOD, "ret": 1 << 63}),
    "an object of 1": json.dumps({**GOOD, "entry": {"x": [1] * 1000}}),
    '"value" is 1': json.dumps({"do": "crash_size", "value": 1}),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_line(message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join([format_header(FACTS), format_row(LOAD, Answer(0, "1", "0")), BROKEN[message]]))
    with pytest.raises(InputError) as caught:
        _replay(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("", "not JSON"),
        ("{}", '"trace" is null'),
        ('{"trace": 3, "facts": {}}', '"trace" is 3, not 1 or 2'),
        ('{"trace": true, "facts": {}}', '"trace" is true'),
        ('{"trace": 1}', '"facts" is missing'),
        ('{"trace": 1, "facts": {}}', "release, machine, cmdline"),
        ('{"trace": 1, "facts": {"release": 6}}', "release is 6"),
    ],
)
def test_broken_header(first: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(first + "\n")
    with pytest.raises(InputError) as caught:
        _replay(path)
    assert "line 1" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bbroken", b"\xfd7zXZ\0broken", b"{}\n\xff\n"])
def test_unreadable_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    with pytest.raises(InputError, match="trace"):
        _replay(path)
    with pytest.raises(InputError, match="cannot be read"):
        list(read_lines(str(tmp_path / "absent")))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_compressed(compress: type[bytes], tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(compress(b"one\ntwo"))
    assert list(read_lines(str(path))) == ["one", "two"]


def bomb(kind: str) -> bytes:
    """A small file that unpacks to far more than any trace has, packed piece by piece."""
    piece = {"zeros": bytes(1 << 20), "lines": b"\n" * (1 << 20)}[kind.split(maxsplit=1)[0]]
    packer = lzma.LZMACompressor() if kind.endswith("xz") else zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(piece) for _ in range(24)), packer.flush()])


@pytest.mark.parametrize("kind", ["zeros xz", "zeros gzip", "lines xz", "lines gzip"])
def test_a_small_file_that_unpacks_to_a_large_one(kind: str, tmp_path: Path) -> None:
    """Refused where the first limit is passed; no more than some pieces of it are ever in memory."""
    path = tmp_path / "bomb"
    path.write_bytes(bomb(kind))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"bomb: (a line of )?more than"):
            for _ in read_lines(str(path)):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


def test_all_bytes_count(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(gzip.compress(b"0123456\n" * 100_000))
    lines = read_lines(str(path), most_bytes=700_000)
    assert next(lines) == "0123456"
    with pytest.raises(InputError, match="more than 700000 bytes when unpacked"):
        list(lines)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress])
def test_several_packed_files_in_one(compress: type[bytes], tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(compress(b"one\ntw") + bytes(64) + compress(b"o\nthree\n") + bytes(8))
    assert list(read_lines(str(path))) == ["one", "two", "three"]
    path.write_bytes(compress(b"one\ntwo") + b"something else")
    with pytest.raises(InputError, match="trace: cannot be read"):
        list(read_lines(str(path)))
    path.write_bytes(compress(b"one\ntwo" * 100)[:-9])
    with pytest.raises(InputError, match="trace: cannot be read"):
        list(read_lines(str(path)))


def test_too_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmboot.oracle.calls.read_trace.MOST_OPERATIONS", 3)
    assert len(read_operations([format_row(LOAD)] * 3, "operations")) == 3
    with pytest.raises(InputError, match="more than 3 operations"):
        read_operations([format_row(LOAD)] * 4, "operations")


def test_what_a_trace_says_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "trace\x1b[31m"
    answer = Answer(0, "\x1b]0;owned\x07", "\u202e0")
    (tmp_path / name).write_text(f"{format_header(FACTS)}\n{format_row(LOAD, answer)}\n\x9b\n")
    with pytest.raises(InputError) as caught:
        _replay(tmp_path / name)
    assert str(caught.value) == visible(str(caught.value))
    said = capsys.readouterr().out
    assert all(line == visible(line) for line in said.split("\n"))
    assert "kexec_loaded=\\x1b]0;owned\\x07" in said


def test_operations_of_a_trace() -> None:
    lines = [format_header(FACTS), "", format_row(LOAD, Answer(0, "1", "0"))]
    assert [row.operation for row in read_operations(lines, "operations")] == [LOAD]
    assert [row.operation for row in read_operations(lines[1:], "operations")] == [LOAD]


def _replay(path: Path) -> int:
    return command.run(argparse.Namespace(trace=str(path), profile=None, json=False, contents=None))
