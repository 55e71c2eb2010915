"""`warmboot roll resume`: go on with a roll that stopped or was killed."""

from __future__ import annotations

import argparse
from contextlib import closing

from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.roll_words import STATUSES, add_number, add_state, go_on, journal_path

__all__ = ["add_parser", "run"]

_PATIENCE = 60.0  # seconds for steps of a roll that was killed, which end by themselves

_WHEN = "Use it after a roll has stopped at a failure, was interrupted, or was killed, to go on where it was."
_ABOUT = """\
Each machine that is not done is asked again what runs there. By its boot id one that was at work has not jumped, and
is begun anew; or runs the new kernel, and only its health is checked; or fell back. Machines that have failed stay as
they are, unless --retry names them: one that runs the new kernel by now is only checked."""
_EXAMPLES = ("warmboot roll resume", "warmboot roll resume --retry web3", "warmboot roll resume 7 --retry all --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `resume`."""
    parser = add_command(
        subparsers,
        "resume",
        summary="go on with a roll that stopped or was killed",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses=STATUSES,
    )
    add_number(parser)
    parser.add_argument(
        *("--retry",),
        metavar="MACHINE",
        action="append",
        default=[],
        help="try one that failed again, or all of them; may be repeated",
    )
    parser.add_argument(
        "--leave-out", action="store_true", help="go on without machines that refuse or cannot be reached"
    )
    add_state(parser)
    add_json(parser, "print one JSON object at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    from warmboot.roll.journal import Journal  # noqa: PLC0415 - only when it runs

    with closing(Journal(journal_path(args))) as journal, journal.at_work(_PATIENCE) as lock:
        kept = journal.roll(args.roll)
        if args.leave_out:
            journal.leave_out(kept.id)
        return go_on(journal, kept.id, lock, args, retry=tuple(args.retry))
