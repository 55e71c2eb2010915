"""`warmboot kdump load`."""

from __future__ import annotations

import argparse

from warmboot.cli.kdump_words import add_config, add_show, config_of, run_words, words
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser", "run"]

_WHEN = (
    "Use it, as root, to load the capture kernel that is configured: warmboot load --panic. The unit does so at boot."
)
_EXAMPLES = ("warmboot kdump load", "warmboot kdump load --show")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `load`."""
    parser = add_command(subparsers, "load", summary="load the capture kernel", when=_WHEN, examples=_EXAMPLES)
    add_config(parser)
    add_show(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    return run_words(args, words("load", config_of(args)))
