"""`warmboot facts`: this machine as one JSON object, for a rehearsal elsewhere."""

from __future__ import annotations

import argparse
import json

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.live.facts import read_facts

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, on the machine that you worry about, to rehearse anywhere else what a kexec does there."
_ABOUT = """\
It prints one JSON object with what decides whether an image loads: the memory map, the kernel's release and settings.
It holds no secrets but physical addresses and the kernel's command line."""
_EXAMPLES = (
    "warmboot facts > host.json",
    "warmboot rehearse vmlinuz --like host.json --no-boot",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `facts`."""
    parser = add_command(
        subparsers,
        "facts",
        summary="this machine as JSON, for a rehearsal elsewhere",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    add_json(parser, "print JSON, as it always does")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the facts. Raises WarmbootError where they cannot be read."""
    print_json(document("facts", json.loads(read_facts().to_json())))
    return 0
