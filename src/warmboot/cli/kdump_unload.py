"""`warmboot kdump unload`."""

from __future__ import annotations

import argparse

from warmboot.cli.kdump_words import add_config, add_show, config_of, run_words, words
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, to forget the capture kernel: warmboot unload --panic."
_EXAMPLES = ("warmboot kdump unload", "warmboot kdump unload --show")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `unload`."""
    parser = add_command(subparsers, "unload", summary="forget the capture kernel", when=_WHEN, examples=_EXAMPLES)
    add_config(parser)
    add_show(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    return run_words(args, words("unload", config_of(args)))
