"""`warmboot inspect`: what a kernel file is and what it needs."""

from __future__ import annotations

import argparse
from dataclasses import replace

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, add_kernel
from warmboot.cli.parser import Subparsers, add_command
from warmboot.images import identify, map_file
from warmboot.images.figures import image_figures
from warmboot.report.text.image import image_lines
from warmboot.report.text.terminal import Terminal
from warmboot.signatures.signers import signers

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see what a kernel file is, which version, and what it needs of a machine, before you load it."
_ABOUT = "The file is recognized by its content, not by its name."
_EXAMPLES = ("warmboot inspect /boot/vmlinuz-6.12", "warmboot inspect vmlinuz --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `inspect`."""
    parser = add_command(
        subparsers,
        "inspect",
        summary="what a kernel file is and what it needs",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
    )
    add_kernel(parser, "a vmlinuz, vmlinux, multiboot or unified kernel image, packed or not")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    figures = image_figures(identify(args.kernel))
    figures = replace(figures, signers=signers(map_file(args.kernel, "kernel")))
    if args.json:
        print_json(document("inspect", figures))
        return 0
    terminal = Terminal()
    for line in image_lines(figures):
        terminal.line(line, indent=2)
    return 0
