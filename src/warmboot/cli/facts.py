"""`warmboot facts`: this machine as one JSON object, for a rehearsal elsewhere."""

from __future__ import annotations

import argparse

from warmboot.live.facts import read_facts

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
Print what decides on this machine whether an image loads: its memory map, its kernel's release
and settings. Run it as root, carry the file to any computer, and rehearse there with --like.
It holds no secrets but physical addresses and the kernel's command line.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `facts`."""
    parser = subparsers.add_parser(
        "facts",
        help="this machine as JSON, for a rehearsal elsewhere",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, as it always does")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the facts. Raises WarmbootError where they cannot be read."""
    print(read_facts().to_json())
    return 0
