"""A console's reader: lines with their times, and bounded memory whatever comes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.machines import console
from warmboot.machines.console import ConsoleReader, LineSplitter
from warmboot.machines.console_copy import ConsoleCopy, console_limit

PATIENCE = 30.0  # seconds: never what a test takes


@contextmanager
def reading(longest: int = 1 << 16, copy: ConsoleCopy | None = None) -> Iterator[tuple[ConsoleReader, io.FileIO]]:
    """A reader, and the other end of its pipe."""
    there, here = os.pipe()
    writer = os.fdopen(here, "wb", buffering=0)
    assert isinstance(writer, io.FileIO)
    reader = ConsoleReader(os.fdopen(there, "rb", buffering=0), copy, longest=longest)
    try:
        yield reader, writer
    finally:
        writer.close()
        reader.close()


def test_lines_come_whole_and_the_unfinished_one_too() -> None:
    with reading() as (reader, writer):
        writer.write(b"one\r\ntwo\nthree")
        writer.close()
        lines = [(each.text, each.complete, each.cut) for each in reader.lines(PATIENCE)]
    assert lines == [("one", True, False), ("two", True, False), ("three", False, False)]


def test_a_prompt_is_shown_and_comes_again_when_it_goes_on() -> None:
    with reading() as (reader, writer):
        writer.write(b"login: ")
        prompt = next(reader.lines(PATIENCE))
        writer.write(b"root\n")
        whole = next(reader.lines(PATIENCE))
    assert (prompt.text, prompt.complete) == ("login: ", False)
    assert (whole.text, whole.complete) == ("login: root", True)


def test_a_line_that_is_too_long_is_cut() -> None:
    with reading(longest=10) as (reader, writer):
        writer.write(b"0123456789\n" + b"x" * 1000 + b"\nnext\n")
        writer.close()
        lines = [(each.text, each.cut) for each in reader.lines(PATIENCE)]
    assert lines == [("0123456789", False), ("x" * 10, True), ("next", False)]


def test_what_nobody_reads_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that prints short lines for ever costs no memory; the lines that are kept are the first and the last."""
    monkeypatch.setattr(console, "_BACKLOG", 100 << 10)
    with reading() as (reader, writer):
        for _ in range(100):
            writer.write(b"A\n" * 500)
        writer.close()
        reader._thread.join()
        assert reader._backlog._size <= 101 << 10
        texts = [each.text for each in reader.lines(PATIENCE)]
        [loss] = reader.notes()
    kept = texts.count("A")
    assert kept == (100 << 10) // 257
    assert loss == f"{50_000 - kept} lines of the console were dropped: they came faster than they could be read"
    assert texts[-1] == f"[warmboot: {loss}]"


def test_a_port_that_never_falls_silent_does_not_put_off_the_end() -> None:
    with reading() as (reader, writer):
        writer.write(b"A\n" * 1000)
        first = next(reader.lines(PATIENCE))
        assert first.text == "A"
        assert [each.text for each in reader.lines(0.0)] == ["A"]  # there is more, but no more time


def test_the_copy_ends_at_its_limit_and_says_so() -> None:
    file = io.BytesIO()
    with reading(copy=ConsoleCopy(file, 8)) as (reader, writer):
        writer.write(b"0123456789\n")
        writer.write(b"abc\n")
        writer.close()
        assert [each.text for each in reader.lines(PATIENCE)] == ["0123456789", "abc"]
        [loss] = reader.notes()
    assert "8 bytes" in loss
    assert "WARMBOOT_CONSOLE_LIMIT" in loss
    assert file.getvalue() == f"01234567\n[warmboot: {loss}]\n".encode()


def test_a_copy_that_cannot_be_written_is_told() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        copy = ConsoleCopy(full, 100)
        copy.write(b"text")
    assert copy.ended == "the console's file is not whole: No space left on device"
    copy.write(b"more")


def test_the_limit_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARMBOOT_CONSOLE_LIMIT", raising=False)
    assert console_limit() == 64 << 20
    monkeypatch.setenv("WARMBOOT_CONSOLE_LIMIT", "1G")
    assert console_limit() == 1 << 30
    for wrong in ("x", "-1", "9" * 4301, "1.5G"):
        monkeypatch.setenv("WARMBOOT_CONSOLE_LIMIT", wrong)
        with pytest.raises(InputError, match="WARMBOOT_CONSOLE_LIMIT"):
            console_limit()


@given(st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"a", b"\n"))), st.integers(1, 20))
def test_lines_are_what_lies_between_newlines(pieces: list[bytes], longest: int) -> None:
    splitter = LineSplitter(longest)
    found = [line for piece in pieces for line in splitter.feed(piece)]
    *whole, rest = b"".join(pieces).split(b"\n")
    expected = [(line[:longest], len(line) > longest) for line in whole]
    if len(rest) > longest:  # told at once: its end may never come
        expected.append((rest[:longest], True))
        rest = b""
    assert found == expected
    assert splitter.rest == rest
