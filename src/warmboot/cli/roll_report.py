"""`warmboot roll report`: what was done to each machine."""

from __future__ import annotations

import argparse

from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.roll_words import STATUSES, add_number, add_state, looked_up, print_answer

__all__ = ["add_parser", "run"]

_WHEN = "Use it to read what was done to each machine, step by step, with times, and why one failed."
_EXAMPLES = ("warmboot roll report", "warmboot roll report 7 --machine web3", "warmboot roll report --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `report`."""
    parser = add_command(
        subparsers, "report", summary="what was done to each machine", when=_WHEN, examples=_EXAMPLES, statuses=STATUSES
    )
    add_number(parser)
    parser.add_argument(
        *("--machine",), metavar="MACHINE", action="append", default=[], help="only this one; may be repeated"
    )
    add_state(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises InputError."""
    from dataclasses import replace  # noqa: PLC0415 - only when it runs, as below

    from warmboot.errors import InputError  # noqa: PLC0415
    from warmboot.visible import visible  # noqa: PLC0415

    answer = looked_up(args)
    if args.machine:
        kept = tuple(each for each in answer.machines if each.name in args.machine)
        missing = set(args.machine) - {each.name for each in kept}
        if missing:
            name = visible(sorted(missing)[0], most=60)
            raise InputError(f"'{name}' is no machine of roll {answer.roll}", hint="warmboot roll status")
        answer = replace(answer, machines=kept)
    return print_answer(answer, args, steps=True)
