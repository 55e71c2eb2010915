"""`warmboot kdump status`: what kdump on this computer is ready for."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.kdump_words import add_config, config_of
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus
from warmboot.kdump.config import DEFAULT_PATH

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see what a crash would do now: kernel, initrd, reservation, target, and what stands in the way."
_ABOUT = "`warmboot kdump test` tries the target and rehearses the crash; this only looks."
_EXAMPLES = ("warmboot kdump status", "warmboot kdump status --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `status`."""
    parser = add_command(
        subparsers,
        "status",
        summary="what a crash would do now",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "a crash would be saved, as far as can be seen", "1": "something stands in the way"},
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises InputError for a configuration that is none."""
    from warmboot.kdump.state import kdump_state  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.text.kdump import state_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    state = kdump_state(config_of(args), args.config or DEFAULT_PATH)
    if args.json:
        print_json(document("kdump-status", state))
    else:
        terminal = Terminal()
        for line in state_lines(state):
            terminal.line(line, indent=2)
        for each in state.problems:
            terminal.line(terminal.bad(each), indent=2)
    return ExitStatus.REFUSED if state.problems else ExitStatus.DONE
