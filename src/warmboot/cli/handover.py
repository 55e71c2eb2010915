"""`warmboot handover`: what a kernel hands over to the next one (KHO, LUO); each command is a module of this room."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from warmboot.cli.parser import Subparsers, add_command

__all__ = ["HANDOVER_COMMANDS", "add_parser"]

HANDOVER_COMMANDS = ("show", "check", "cost")  # `show` is in the module handover_show

_WHEN = "Use it where a kernel is replaced under running services, and memory is to live through that."
_ABOUT = """\
Linux can hand memory over to the kernel that it starts by kexec (KHO, from 6.16), and files of services with it (LUO,
from 6.19). docs/handover.md explains how."""
_EXAMPLES = ("warmboot handover show", "warmboot handover show memory.raw --html handover.html")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser], given: Sequence[str] = ()) -> None:
    """Add `handover` with its commands: with the one alone that the arguments ask for, if they do."""
    parser = add_command(
        subparsers,
        "handover",
        summary="what a kernel hands over to the next one",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    commands = parser.add_subparsers(dest="handover_command", metavar="COMMAND", required=True)
    asked = [each for each in given if not each.startswith("-")][1:2]
    for name in asked if asked and asked[0] in HANDOVER_COMMANDS else HANDOVER_COMMANDS:
        import_module(f"warmboot.cli.handover_{name}").add_parser(commands)
