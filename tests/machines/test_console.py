"""A console's reader holds out against any guest: in bounded memory, and never longer than it is asked to."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator

import pytest

from warmboot.machines import console as module
from warmboot.machines.console import Console


@pytest.fixture
def pipe() -> Iterator[tuple[io.BufferedReader, io.FileIO]]:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reader, os.fdopen(theirs, "wb", buffering=0) as writer:
        yield reader, writer


Pipe = tuple[io.BufferedReader, io.FileIO]


def test_lines_end_in_time_though_they_never_stop(pipe: Pipe) -> None:
    reader, writer = pipe
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            writer.write(b"A\n" * 1000)

    thread = threading.Thread(target=flood)
    thread.start()
    console = Console(reader, None)
    began = time.monotonic()
    count = sum(1 for _ in console.lines(0.5))
    took = time.monotonic() - began
    stop.set()
    for _ in console.lines(0.1):  # so that the writer is not stuck
        pass
    thread.join()
    writer.close()
    console.close()
    assert count
    assert took < 30  # it did not end at all


def test_what_nobody_reads_is_dropped_and_counted(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 10)
    reader, writer = pipe
    console = Console(reader, None)
    writer.write(b"".join(b"%d\n" % number for number in range(25)))
    writer.close()
    console._thread.join()
    assert [line.text for line in console.lines(1)] == [str(number) for number in range(15, 25)]
    assert console.dropped == 15
    console.close()


def test_a_line_without_an_end_is_cut(pipe: Pipe) -> None:
    reader, writer = pipe
    console = Console(reader, None, longest_line=1 << 16)
    for _ in range(20):
        writer.write(bytes(1 << 14))
    writer.close()
    console._thread.join()
    assert max(len(line.text) for line in console.lines(1)) <= (1 << 16) + (1 << 16)
    console.close()


def test_the_copy_has_a_limit_that_is_told(pipe: Pipe) -> None:
    reader, writer = pipe
    copy = io.BytesIO()
    console = Console(reader, copy, copy_limit=100)
    writer.write(b"x" * 250 + b"\n")
    writer.close()
    console._thread.join()
    assert console.copy_is_cut
    assert copy.getvalue() == b"x" * 100 + b"\n[warmboot: the console goes on; 100 bytes are kept]\n"
    console.close()
