"""What guests and traces say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from unittest.mock import patch

from warmboot.errors import InputError, WarmbootError
from warmboot.machines.console import ConsoleLine, LineSplitter
from warmboot.machines.qmp import Ending
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.read_trace import read_header, read_operations, read_rows
from warmboot.oracle.calls.recorder import agent_line, facts_told
from warmboot.oracle.calls.replay import Player, agree
from warmboot.oracle.calls.write_trace import format_row
from warmboot.oracle.guest.agent import FACTS
from warmboot.oracle.guest.told import FileTold, parse
from warmboot.oracle.witness.arch import of
from warmboot.oracle.witness.comparison import differences
from warmboot.oracle.witness.statement import Statement
from warmboot.rehearsal import boot_watch
from warmboot.rehearsal.boot_watch import BootWatch
from warmboot.visible import visible

__all__ = ["boot", "guest_answer", "line_splitter", "statement", "trace", "trace_file"]

_LONGEST = 100
_MOST_CALLS = 8
_RULES = of("x86_64").report
_PLAYED_ON = Facts.of_pc(256 << 20, crashkernel=32 << 20)


@contextmanager
def _refusing() -> Iterator[None]:
    """What is refused is refused in words that steer no terminal."""
    try:
        yield
    except WarmbootError as error:
        if any(line != visible(line, keep_tab=True) for line in str(error).split("\n")):
            raise AssertionError(f"not made visible: {error!r}") from error


def line_splitter(data: bytes) -> None:
    """A console's bytes, in pieces whose sizes they say themselves."""
    splitter = LineSplitter(_LONGEST)
    lines = []
    at = 0
    while at < len(data):
        size = 1 + data[at]
        lines += list(splitter.feed(data[at : at + size]))
        at += size
    assert all(len(line) <= _LONGEST and b"\n" not in line for line, _ in lines)
    assert len(splitter.rest) <= _LONGEST
    whole, [*expected, _] = [line for line, cut in lines if not cut], data.split(b"\n")
    assert whole == [line for line in expected if len(line) <= _LONGEST]


class _Console:
    """A machine that says what it is given, and then ends or stays."""

    def __init__(self, data: bytes) -> None:
        kind, text = data[:1], data[1:].decode("utf-8", "replace")
        self._reason = {b"r": "guest-reset", b"s": "guest-shutdown", b"p": "guest-panic"}.get(kind)
        self._lines = iter([ConsoleLine(0.0, each, complete=kind != b"u") for each in text.split("\n")])

    def lines(self, timeout: float) -> Iterator[ConsoleLine]:
        yield from self._lines

    def outcome(self, timeout: float) -> Ending | None:
        return Ending(self._reason, False, 0) if self._reason else None

    def console_notes(self) -> tuple[str, ...]:
        return ()


def boot(data: bytes) -> None:
    """A whole boot on the console; the first byte says how the machine ends."""
    shown: list[str] = []
    watch = BootWatch(_Console(data), until="login:" if data[:1] == b"r" else None, initrd=len(data) % 2 == 0)
    with patch.multiple(boot_watch, _SETTLE=0.0, _LINGER=0.0, _LAST_WORDS=0.0):  # seconds: nothing is waited for
        watch.run(0.0 if data[:1] == b"t" else 10.0, shown.append)
    figures = watch.figures("machine", 1.0)
    said = [*shown, watch.problem, watch.hint, watch.reached, *figures.last_lines]
    said += [each for each in (figures.release, figures.init, figures.first_words) if each is not None]
    assert all(each == visible(each, keep_tab=True) for each in said)
    assert watch.passed != bool(watch.problem)


def guest_answer(data: bytes) -> None:
    """An agent's lines, and the facts that they tell."""
    files = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        with _refusing():
            told = parse(line)
            if isinstance(told, FileTold):
                assert told.path in FACTS
                files[told.path] = told.content
    with suppress(InputError):
        facts_told(files)


def statement(data: bytes) -> None:
    """A witness's report, compared with itself."""
    with _refusing():
        found = Statement.parse(data.decode("utf-8", "replace"), _RULES)
        differences(found, found, _RULES, crash=True, expected=found.digests)


def trace(data: bytes) -> None:
    """A trace's lines: what is read is written and read again, goes to an agent, and is played on the model."""
    lines = data.decode("utf-8", "replace").split("\n")
    with _refusing():
        read_header(lines[0], "trace")
    with _refusing():
        read_operations(lines, "trace", Contents())
    rows = []
    contents = Contents()
    with suppress(InputError):
        for row in read_rows(lines, "trace", contents=contents):
            assert [each[1:] for each in read_rows([format_row(row.operation, row.answer)], "trace")] == [row[1:]]
            assert len(agent_line(row.operation).splitlines()) == 1
            rows.append(row)
    if rows:
        with Player(_PLAYED_ON, contents=contents) as player, suppress(InputError):
            for row in rows[:_MOST_CALLS]:
                answer = player.play(row.operation)
                if row.answer is not None:
                    agree(row.operation, row.answer, answer)


def trace_file(data: bytes) -> None:
    """A file that may be packed."""
    file = os.memfd_create("trace")
    try:
        os.write(file, data)
        with suppress(WarmbootError):
            for line in read_lines(f"/proc/self/fd/{file}", most_bytes=1 << 17):
                line.encode()
    finally:
        os.close(file)
