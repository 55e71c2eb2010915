"""What the commands of `warmboot roll` share: the journal's option, and how answers are printed."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import whole_number
from warmboot.errors import InputError

if TYPE_CHECKING:
    from warmboot.roll.answers import RollAnswer
    from warmboot.roll.journal import Journal

__all__ = ["STATUSES", "add_number", "add_state", "go_on", "journal_path", "looked_up", "print_answer", "seconds"]

STATUSES = {
    "0": "every machine runs the new kernel",
    "1": "a machine does not: it refused, failed, fell back or waits",
    "2": "wrong usage, or an inventory, a kernel or a journal that cannot be used",
    "3": "Ansible is missing",
}
_LONGEST = 1e6  # seconds


def add_state(parser: argparse.ArgumentParser) -> None:
    """--state."""
    parser.add_argument(
        *("--state",), metavar="FILE", type=Path, help="the journal (default: ~/.local/state/warmboot/roll.db)"
    )


def add_number(parser: argparse.ArgumentParser) -> None:
    """The roll's number."""
    parser.add_argument("roll", metavar="ROLL", nargs="?", type=whole_number, help="its number (default: the newest)")


def journal_path(args: argparse.Namespace) -> Path:
    """The journal's file."""
    from warmboot.roll.journal import default_path  # noqa: PLC0415 - only when it runs, as below

    given: Path | None = args.state
    return default_path() if given is None else given.absolute()


def looked_up(args: argparse.Namespace) -> RollAnswer:
    """The roll that the arguments name. Raises InputError."""
    from warmboot.roll.journal import Journal  # noqa: PLC0415
    from warmboot.roll.summary import summary  # noqa: PLC0415

    with closing(Journal(journal_path(args))) as journal:
        return summary(journal, args.roll)


def go_on(journal: Journal, number: int, lock: int, args: argparse.Namespace, *, retry: tuple[str, ...] = ()) -> int:
    """Go on with a roll, show it, and print the answer; the exit status. Raises WarmbootError."""
    from warmboot.report.text.roll import NewsLines  # noqa: PLC0415
    from warmboot.roll.engine import Engine  # noqa: PLC0415
    from warmboot.roll.files import prepared  # noqa: PLC0415
    from warmboot.roll.summary import summary  # noqa: PLC0415

    settings = journal.roll(number).settings
    with prepared(settings.kernel, settings.initrds) as files:
        Engine(journal, number, files, lock, NewsLines(quiet=args.json)).run(retry=retry)
    return print_answer(summary(journal, number, at_work=True), args)


def print_answer(answer: RollAnswer, args: argparse.Namespace, *, steps: bool = False) -> int:
    """As JSON or for people; the exit status."""
    if args.json:
        print_json(document("roll", answer))
    else:
        from warmboot.report.text.roll import show_roll  # noqa: PLC0415

        show_roll(answer, steps=steps)
    return answer.exit_status


def seconds(option: str, value: float) -> float:
    """Seconds that an option asks for. Raises InputError."""
    if not 0 < value <= _LONGEST:
        raise InputError(f"{option} {value:g}: not from 0 to {_LONGEST:g} seconds", hint="give seconds, such as 120")
    return value
