"""What is read from a dump is read on a narrow terminal, too: no line is longer than it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from support.vmcores import vmcore

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

COLUMNS = 60


def terminal(*words: str | Path) -> tuple[int, str]:
    """The exit status, and what a terminal of that width is sent."""
    main_end, other_end = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "warmboot", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=other_end,
        stderr=subprocess.PIPE,
        env=environment,
    ) as running:
        os.close(other_end)
        sent = b""
        while True:
            try:
                piece = os.read(main_end, 65536)
            except OSError:  # the other end is closed
                break
            sent += piece
        os.close(main_end)
        status = running.wait(120)
    return status, sent.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("words", [["info"], ["tasks"], ["bt"], ["bt", "--all"], ["modules"], ["check"]], ids=" ".join)
@pytest.mark.parametrize("series", ["5.10", "7.2"])
def test_60_columns_are_enough(words: list[str], series: str) -> None:
    status, shown = terminal("dump", *words, vmcore(series))
    assert status in (0, 1)  # 1 where something of the dump cannot be read, which other tests are about
    lines = shown.splitlines()
    assert lines
    assert [line for line in lines if len(line) > COLUMNS and len(line.split()) > 1] == []
