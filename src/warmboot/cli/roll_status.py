"""`warmboot roll status`: how a roll stands."""

from __future__ import annotations

import argparse

from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.roll_words import STATUSES, add_number, add_state, looked_up, print_answer

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see how a roll stands, also while it is under way: a line for each machine."
_EXAMPLES = ("warmboot roll status", "warmboot roll status 7 --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `status`."""
    parser = add_command(
        subparsers, "status", summary="how a roll stands", when=_WHEN, examples=_EXAMPLES, statuses=STATUSES
    )
    add_number(parser)
    add_state(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises InputError."""
    return print_answer(looked_up(args), args)
