"""`warmboot dump convert`: the same dump in another format."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.dump_file import add_files
from warmboot.cli.dump_save import add_save_options, run
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser"]

_WHEN = "Use it for a program that cannot read a dump as it is: it writes the same memory in another format."
_ABOUT = "It is `save`, but leaves out nothing unless a level is given."
_EXAMPLES = ("warmboot dump convert --format elf crash.vmcore crash.elf",)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `convert`."""
    parser = add_command(
        subparsers, "convert", summary="write a dump in another format", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to write, or - for standard output")
    add_save_options(parser, level=0)
    parser.set_defaults(run=run)
