"""`warmboot kdump initrd`: make the capture initrd, and see whether it fits."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.kdump_words import add_config, config_of
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run"]

_WHEN = "Use it, as root, to make the initrd with which the capture kernel saves the dump, and again when that changes."
_ABOUT = """\
initramfs-tools or dracut make it, with a configuration of its own: the drivers that reach the target, and warmboot.
Other initrds stay as they are. Its size is shown, and whether it fits into the reservation: exit status 1 where it does
not."""
_EXAMPLES = ("warmboot kdump initrd", "warmboot kdump initrd --tool dracut --release 6.12.0 --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `initrd`."""
    parser = add_command(
        subparsers,
        "initrd",
        summary="make the capture initrd",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "it is made; if there is a reservation, it fits"},
    )
    add = parser.add_argument
    add(
        "--tool",
        choices=("initramfs-tools", "dracut"),
        metavar="TOOL",
        help="initramfs-tools or dracut (default: what is there)",
    )
    add(
        "--release",
        metavar="RELEASE",
        help="the capture kernel's, as uname -r (default: of the kernel that is configured)",
    )
    add("--out", metavar="FILE", type=Path, help="(default: /var/lib/warmboot/kdump-RELEASE.img)")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    from warmboot.kdump.initrd import Tool, make_initrd  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.text.kdump import fit_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415
    from warmboot.report.text.words import size_text  # noqa: PLC0415

    tool = None if args.tool is None else Tool(args.tool)
    made = make_initrd(config_of(args), tool=tool, release=args.release, out=args.out)
    status = ExitStatus.REFUSED if made.fit.fits is False else ExitStatus.DONE
    if args.json:
        print_json(document("kdump-initrd", replace(made)))
        return status
    terminal = Terminal()
    for line in made.said:
        terminal.line(terminal.faint(line), indent=2)
    terminal.line(f"{made.path}: {size_text(made.fit.packed)}, {size_text(made.fit.unpacked)} unpacked, by {made.tool}")
    for line in fit_lines(made.fit):
        terminal.line(line if made.fit.fits is not False else terminal.bad(line))
    return status
