"""Debian's package tools, run so that nothing but their arguments and the system's own settings counts."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from warmboot.errors import MissingToolError
from warmboot.programs import clean_environment, find_program

__all__ = ["complaint", "run_tool"]


def run_tool(command: Sequence[str], *, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of Debian's package tools, in `folder` if given, and return what it printed, in English.

    The caller's environment does not reach it, so APT_CONFIG and its like have no effect. Raises MissingToolError if
    the tool is not installed.
    """
    program = find_program(command[0])
    if program is None:
        raise MissingToolError(
            f"{command[0]} is not installed: Debian's packages cannot be read",
            hint="run this on Debian or a system made from it, or as root: apt-get install apt dpkg gpgv",
        )
    return subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env=clean_environment(DEBIAN_FRONTEND="noninteractive"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The last error that a package tool printed, without its letter, or how it ended."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    # apt's very last line often only says that something failed; the line with an address says what.
    errors = [line for line in lines if line.startswith(("E: ", "Err:"))] or lines
    telling = [line for line in errors if "Failed to fetch" in line] or errors
    return telling[-1].removeprefix("E: ").rstrip(" :") if telling else f"exit status {done.returncode}"
