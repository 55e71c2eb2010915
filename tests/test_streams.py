"""Standard streams that are closed, full, or read by nobody: no command does otherwise for it than without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.computers import small_kernel
from support.kexec_tools import kexec_tools
from support.side_by_side import OURS
from warmboot.cli.main import COMMANDS

STREAMS = ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-", "1>/dev/full", "2>/dev/full"]
# What fails for want of something, what is wrong usage, and what is told at once; none reaches a kernel.
KEXEC = ["-S", "-S -l", "-v", "-h", "-l nofile", "-c -l nofile", "--print-ckr-size", "--bogus", "--mem-min=x", "-e -l"]
WARMBOOT = (sys.executable, "-I", "-m", "warmboot")


def ended(command: Sequence[str | Path], streams: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *command], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def ended_unread(command: Sequence[str | Path], number: int) -> subprocess.CompletedProcess[bytes]:
    """Run it with nobody to read the stream of this number."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as gone:
        out, err = (gone if number == each else subprocess.PIPE for each in (1, 2))
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False)


@pytest.mark.parametrize("line", KEXEC)
def test_kexec_as_kexec_tools(line: str) -> None:
    words = line.split()
    for streams in STREAMS:
        ours = ended([*OURS, *words], streams)
        for suite in ("bookworm", "sid"):
            theirs = ended([*kexec_tools(suite), *words], streams)
            assert ours.returncode == theirs.returncode, (streams, ours)
            assert bool(ours.stdout) == bool(theirs.stdout), (streams, ours)
            assert bool(ours.stderr) == bool(theirs.stderr), (streams, ours)


@pytest.mark.parametrize("line", ["-v", "-h", "-l nofile", "--bogus", "-S"])
def test_kexec_read_by_nobody(line: str) -> None:
    for number in (1, 2):
        ours, theirs = (ended_unread([*each, *line.split()], number) for each in (OURS, kexec_tools("sid")))
        assert (ours.returncode, b"Traceback" in ours.stderr if ours.stderr else False) == (theirs.returncode, False)


def test_a_fault_of_ours_is_not_taken_for_an_answer() -> None:
    """-S tells by 1 that a kernel is loaded."""
    code = "import warmboot.dropin.run as it; it._status = lambda command: 1 // 0; " + OURS[-1]
    done = subprocess.run([sys.executable, "-Ic", code, "-S"], capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "ZeroDivisionError" in done.stderr


def _arguments(command: str, kernel: Path) -> list[str]:
    """What a command has an answer or an error for at once."""
    nothing = ["/nonexistent"]
    return {
        "rehearse": [str(kernel), "--no-boot"],
        "inspect": [str(kernel)],
        "load": ["--dry-run", *nothing],
        "demo": ["--help"],
        "facts": [],
        "status": [],
    }.get(command, ["--help"])


@pytest.mark.parametrize("command", COMMANDS)
def test_warmboot(command: str, tmp_path: Path) -> None:
    """The status is that of an undisturbed run, or 1 where the answer itself could not be written."""
    words = [*WARMBOOT, command, *_arguments(command, small_kernel(tmp_path))]
    undisturbed = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert b"Traceback" not in undisturbed.stderr
    for streams in ("0<&-", "1>&-", "2>&-", "2>/dev/full", "1>/dev/full"):
        done = ended(words, streams)
        assert b"Traceback" not in done.stderr, streams
        lost = streams == "1>/dev/full" and undisturbed.stdout
        assert done.returncode == (1 if lost else undisturbed.returncode), (streams, done)
    for number in (1, 2):
        done = ended_unread(words, number)
        assert b"Traceback" not in (done.stderr or b"")
        lost = undisturbed.stdout if number == 1 else undisturbed.stderr
        assert done.returncode in {undisturbed.returncode, *([1, -signal.SIGPIPE] if lost else [])}, (number, done)
