"""`warmboot kdump`: everything about kdump on this computer, from one small configuration file."""

from __future__ import annotations

import argparse
from importlib import import_module

from warmboot.cli.parser import Subparsers, add_command
from warmboot.kdump.config import DEFAULT_PATH

__all__ = ["KDUMP_COMMANDS", "add_parser"]

KDUMP_COMMANDS = ("install", "initrd", "test", "load", "unload", "status", "save", "pack")

_WHEN = "Use it, as root, to have a crash kernel loaded, tried and, after a crash, its dump saved."
_ABOUT = f"""\
All of it follows {DEFAULT_PATH}, or --config: where dumps go, how, and what happens then. First install and initrd,
then test, which tells before a crash whether the capture kernel fits and the target can be written; then enable
warmboot-kdump.service, which loads it at each boot."""
_EXAMPLES = ("warmboot kdump initrd", "warmboot kdump test", "warmboot kdump status --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `kdump` with its commands."""
    parser = add_command(
        subparsers,
        "kdump",
        summary="a crash kernel, loaded, tried, and its dump saved",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    commands = parser.add_subparsers(dest="kdump_command", metavar="COMMAND", required=True)
    for name in KDUMP_COMMANDS:
        import_module(f"warmboot.cli.kdump_{name}").add_parser(commands)
