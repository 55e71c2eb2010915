"""`warmboot inspect`: what a kernel file is and what it needs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from warmboot.images import identify
from warmboot.images.figures import image_figures
from warmboot.report.json.values import json_value
from warmboot.report.text.image import image_lines

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `inspect`."""
    parser = subparsers.add_parser(
        "inspect",
        help="what a kernel file is and what it needs",
        description="Tell by its content what a kernel file is, its version, and what it needs of a machine.",
    )
    parser.add_argument(
        "kernel",
        metavar="KERNEL",
        type=Path,
        help="a vmlinuz, vmlinux, multiboot or unified kernel image, packed or not",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    figures = image_figures(identify(args.kernel))
    if args.json:
        print(json.dumps(json_value(figures), indent=2))
    else:
        print("\n".join(image_lines(figures)))
    return 0
