"""Trace version 2: what is written reads back, what is broken is told by its line, and version 1 is as it was."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents, content_members
from warmboot.oracle.calls.file_lines import file_line
from warmboot.oracle.calls.file_trace import (
    ARGUMENT_PLACES,
    CALLS,
    FILE_KINDS,
    LONGEST_FILE,
    MODES,
    OPENED,
    Argument,
    FileSource,
    KexecFileLoad,
    LiveUpdateCall,
)
from warmboot.oracle.calls.read_trace import read_header, read_operations, read_rows, read_version
from warmboot.oracle.calls.trace import Answer, Operation, Sysctl, version_of
from warmboot.oracle.calls.write_trace import format_contents, format_header, format_row
from warmboot.oracle.guest.told import AgentError, AnswerTold, parse

Made = TypeVar("Made")

FACTS = Facts.of_pc(1 << 30)
U64 = st.integers(0, (1 << 64) - 1)
U32 = st.integers(0, (1 << 32) - 1)
S32 = st.integers(-(1 << 31), (1 << 31) - 1)
SHA256 = st.sampled_from(["0" * 64, "0123456789abcdef" * 4])
PATCHES = st.lists(st.tuples(st.integers(0, LONGEST_FILE), st.binary(max_size=9)), max_size=3).map(tuple)


def made(kind: type[Made], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Made]:
    """As st.builds, which would invent what has a default."""
    return st.fixed_dictionaries(fields).map(lambda members: kind(**members))


SIZES = st.none() | st.integers(0, LONGEST_FILE)
SPARSE = st.integers(0, (1 << 63) - 1)
MODE, WRITER = st.sampled_from(MODES), st.booleans()
PLACE = st.sampled_from(ARGUMENT_PLACES)
OFFSET = st.integers(0, 1 << 40)
NAME = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=300)


def call(which: str, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[LiveUpdateCall]:
    """A call of that name."""
    return made(LiveUpdateCall, call=st.just(which), **fields)


SOURCES = st.one_of(
    made(FileSource, at=st.just("content"), sha256=SHA256, size=SIZES, patches=PATCHES, mode=MODE, writer=WRITER),
    made(FileSource, at=st.just("sparse"), size=SPARSE, mode=MODE),
    made(FileSource, at=st.just("empty"), mode=MODE, writer=WRITER),
    made(FileSource, at=st.just("fd"), fd=S32),
    made(FileSource, at=st.sampled_from(["directory", "pipe", "socket", "proc", "sysfs", "null", "closed"])),
)
ARGUMENTS = st.one_of(
    made(Argument, at=PLACE, data=st.binary(max_size=80)),
    made(Argument, at=PLACE, data=st.text(max_size=20).map(str.encode)),
    made(Argument, at=PLACE, sha256=SHA256),
)
LIVE = st.one_of(
    call("open", path=st.sampled_from(OPENED), flags=U32),
    call("memfd_create", name=NAME, flags=U32),
    call("ioctl", fd=S32, command=U32, argument=ARGUMENTS),
    call("pwrite", fd=S32, offset=OFFSET, argument=ARGUMENTS),
    call("pread", fd=S32, offset=OFFSET, size=st.integers(0, 4096)),
    call("ftruncate", fd=S32, size=st.integers(-(1 << 63), (1 << 63) - 1)),
    call("lseek", fd=S32, offset=OFFSET, whence=st.integers(0, 1)),
    call("add_seals", fd=S32, seals=U32),
    *(call(each, fd=S32) for each in ("close", "dup", "get_seals")),
    *(call(each) for each in ("pipe", "kexec")),
)
LOADS = made(
    KexecFileLoad,
    kernel=SOURCES,
    initrd=SOURCES | st.just(FileSource("same")),
    cmdline=ARGUMENTS,
    cmdline_len=U64,
    flags=U64,
    nobody=st.booleans(),
)
STATES = st.sampled_from(["0", "1"])
ANSWERS = made(Answer, ret=st.integers(-200, 1 << 40), kexec_loaded=STATES, kexec_crash_loaded=STATES)
LOAD = KexecFileLoad(FileSource("closed"), FileSource("closed"), Argument(), 0, 0)


@given(LOADS | LIVE, st.none() | ANSWERS, st.none() | st.binary(min_size=1, max_size=80))
def test_what_is_written_reads_back(operation: Operation, answer: Answer | None, out: bytes | None) -> None:
    if answer is not None and out is not None and isinstance(operation, LiveUpdateCall):
        answer = answer._replace(out=out.hex())
    line = format_row(operation, answer)
    [row] = read_rows([line], "t")
    assert (row.operation, row.answer) == (operation, answer)
    assert format_row(row.operation, row.answer) == line
    assert version_of([operation]) == 2


@given(LOADS | LIVE)
def test_the_agent_reads_one_line_of_words(operation: KexecFileLoad | LiveUpdateCall) -> None:
    """Nothing that a trace says becomes another line, a path or an option of the agent."""
    line = file_line(operation)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    words = line.split()
    assert len(words) == (7 if words[0] == "F" else len(line.split(" ")))
    assert words[0] in "FL"
    if words[0] == "F":
        assert all(each.count(":") == 6 for each in words[1:3])
    else:
        assert words[1] in CALLS


def test_every_kind_of_file_and_every_call_can_be_written() -> None:
    for kind in FILE_KINDS:
        source = FileSource(kind, "0" * 64 if kind == "content" else "", 5 if kind == "sparse" else None, fd=-1)
        [row] = read_rows([format_row(LOAD._replace(initrd=source))], "t")
        assert row.operation == LOAD._replace(initrd=source)
    for which in CALLS:
        operation = LiveUpdateCall(which, path=OPENED[0]) if which == "open" else LiveUpdateCall(which)
        [row] = read_rows([format_row(operation)], "t")
        assert row.operation == operation


def test_version_1_has_its_own_operations_alone() -> None:
    header = format_header(FACTS, [Sysctl("a", "1")])
    assert json.loads(header)["trace"] == read_version(header) == 1
    assert json.loads(format_header(FACTS, [LOAD]))["trace"] == 2
    for operation in (LOAD, LiveUpdateCall("pipe")):
        with pytest.raises(InputError, match=r"line 2: .*kexec_load, sysctl or crash_size"):
            list(read_rows([format_row(operation)], "t", version=1))
        with pytest.raises(InputError, match="line 2"):
            read_operations([header, format_row(operation)], "t")
    assert read_header(format_header(FACTS, [LOAD]), "t") == FACTS


def test_contents_are_kept_once_and_found_again(tmp_path: Path) -> None:
    contents = Contents()
    data = b"kernel" * 5000
    source = FileSource("content", contents.add(data))
    operations = [LOAD._replace(kernel=source), LOAD._replace(kernel=source, initrd=source)]
    kept = list(format_contents(operations, contents))
    assert len(kept) == 1
    again = Contents()
    rows = read_operations([format_header(FACTS, operations), *kept, *map(format_row, operations)], "t", again)
    assert [row.operation for row in rows] == operations
    assert again.get(source.sha256) == data

    (tmp_path / source.sha256).write_bytes(data)
    assert Contents(tmp_path).get(source.sha256) == data
    (tmp_path / source.sha256).write_bytes(b"other")
    with pytest.raises(InputError, match="other bytes"):
        Contents(tmp_path).get(source.sha256)
    with pytest.raises(InputError, match="not in the trace"):
        Contents().get(source.sha256)


def test_what_is_large_stays_beside() -> None:
    contents = Contents()
    source = FileSource("content", contents.add(Random(1).randbytes(2 << 20)))
    assert list(format_contents([LOAD._replace(kernel=source)], contents)) == []


KEPT = content_members(b"some bytes")


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({**KEPT, "more": 1}, "unknown member"),
        ({**KEPT, "content": "A" * 64}, "not a SHA-256"),
        ({**KEPT, "content": "../../etc/passwd"}, "not a SHA-256"),
        ({**KEPT, "content": "0" * 64}, "another SHA-256"),
        ({**KEPT, "zlib": "!"}, '"zlib"'),
        ({**KEPT, "zlib": KEPT["zlib"][:8]}, '"zlib"'),
        ({**KEPT, "zlib": 5}, "not a text"),
    ],
)
def test_broken_contents(members: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_operations([json.dumps(members)], "t", Contents())


FILE = {"at": "content", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kernel": 5}, '"kernel" is 5'),
        ({"kernel": {"at": "disk"}}, '"at" is "disk"'),
        ({"kernel": {"at": "content"}}, '"sha256" is null'),
        ({"kernel": {**FILE, "sha256": "../" + "0" * 61}}, "not a SHA-256"),
        ({"kernel": {**FILE, "size": 1 << 40}}, '"size"'),
        ({"kernel": {**FILE, "patches": [[0]]}}, "no pair"),
        ({"kernel": {**FILE, "patches": [[0, "0g"]]}}, "not hexadecimal"),
        ({"kernel": {**FILE, "patches": [[0, "00"]] * 65}}, "at most 64"),
        ({"kernel": {**FILE, "open": "x"}}, '"open"'),
        ({"kernel": {**FILE, "writer": 1}}, '"writer"'),
        ({"kernel": {"at": "pipe", "size": 1}}, "unknown member"),
        ({"initrd": {"at": "fd", "fd": 1 << 31}}, '"fd"'),
        ({"kernel": {"at": "same"}}, "only the initrd"),
        ({"cmdline": {"at": "held"}}, '"at" is "held"'),
        ({"cmdline": {"at": "mapped", "text": "a", "data": ""}}, "unknown member"),
        ({"cmdline": {"at": "mapped", "data": "00" * 70000}}, "more than"),
        ({"cmdline_len": -1}, '"cmdline_len"'),
        ({"flags": 1 << 64}, '"flags"'),
        ({"as": "root"}, '"as" is "root"'),
        ({"out": "00", "path": "/"}, "unknown member"),
    ],
)
def test_broken_file_load(change: dict[str, object], problem: str) -> None:
    line = json.dumps({**json.loads(format_row(LOAD)), **change})
    with pytest.raises(InputError, match=f"line 2: .*{problem}"):
        list(read_rows([line], "t"))


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"call": "mount"}, '"call" is "mount"'),
        ({"call": "open", "path": "/etc/shadow", "flags": 0}, '"path"'),
        ({"call": "close"}, '"fd" is null'),
        ({"call": "pipe", "fd": 1}, "unknown member"),
        ({"call": "ioctl", "fd": 1, "command": 1 << 32, "argument": {"at": "null"}}, '"command"'),
        ({"call": "memfd_create", "file_name": "a\0b", "flags": 0}, '"file_name"'),
        ({"call": "memfd_create", "file_name": "a" * 5000, "flags": 0}, '"file_name"'),
        ({"call": "pread", "fd": 1, "offset": 0, "size": 5000}, '"size"'),
        ({"call": "lseek", "fd": 1, "offset": 0, "whence": 2}, '"whence"'),
    ],
)
def test_broken_live_update(members: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=f"line 2: .*{problem}"):
        list(read_rows([json.dumps({"do": "liveupdate", **members})], "t"))


def test_what_the_agent_says_of_files() -> None:
    assert parse("b 11 0 1 00ff") == AnswerTold(11, "0", "1", None, "00ff")
    assert parse("b -9 0 0 -") == AnswerTold(-9, "0", "0", None)
    for line in ("b 1 0 0 0g", "b x 0 0 -", "b 1 2 0 -", "b 1 0 0", "b 1 0 0 - -"):
        with pytest.raises(AgentError):
            parse(line)
