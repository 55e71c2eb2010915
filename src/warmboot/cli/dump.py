"""`warmboot dump`: saving dumps of memory, and reading them; each command is a module of this room."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from warmboot.cli.parser import Subparsers, add_command

__all__ = ["DUMP_COMMANDS", "add_parser"]

DUMP_COMMANDS = (
    "save",
    "convert",
    "why",
    "fits",
    "info",
    "dmesg",
    "read",
    "tasks",
    "bt",
    "modules",
    "devices",
    "check",
    "diff",
    "drgn",
)  # `save` is in the module dump_save

_WHEN = "Use it on the memory of a kernel that crashed: to save it, to filter it, to see what is in it."
_EXAMPLES = ("warmboot dump save /proc/vmcore crash.kdump", "warmboot dump why crash.vmcore 0x16800")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser], given: Sequence[str] = ()) -> None:
    """Add `dump` with its commands: with the one alone that the arguments ask for, if they do."""
    parser = add_command(
        subparsers,
        "dump",
        summary="save and read dumps of crashed kernels",
        when=_WHEN,
        examples=_EXAMPLES,
    )
    commands = parser.add_subparsers(dest="dump_command", metavar="COMMAND", required=True)
    asked = [each for each in given if not each.startswith("-")][1:2]
    for name in asked if asked and asked[0] in DUMP_COMMANDS else DUMP_COMMANDS:
        import_module(f"warmboot.cli.dump_{name}").add_parser(commands)
