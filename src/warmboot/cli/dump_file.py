"""What the commands that read a dump have in common: its files, and an answer as lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from warmboot.errors import ExitStatus

__all__ = ["add_files", "print_answer", "status_of"]


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add FILE..., as `file`."""
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="+", help="/proc/vmcore, any dump, or all files of a split one"
    )


def print_answer(lines: Iterable[str], indent: int = 0) -> None:
    """The lines, on standard output."""
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415 - not with --json

    terminal = Terminal()
    for line in lines:
        terminal.line(line, indent=indent)


def status_of(problems: Iterable[str], *, json: bool) -> ExitStatus:
    """Whether all could be read; what could not is told on standard error, unless it is in the JSON answer."""
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    found = tuple(problems)
    for each in () if json else found:
        Terminal(sys.stderr).line(f"warmboot: {each}")
    return ExitStatus.REFUSED if found else ExitStatus.DONE
