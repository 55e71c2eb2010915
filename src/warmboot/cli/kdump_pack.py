"""`warmboot kdump pack`: put into an initrd's folder what saves the dump; hooks of initrd makers call it."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.kdump_words import add_config, config_of
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus, InputError

__all__ = ["add_parser", "run"]

_WHEN = "Use it from a hook of an initrd maker that `warmboot kdump initrd` does not know."
_ABOUT = """\
FOLDER gets Python, what of NumPy and zstandard is needed, warmboot, the configuration, and ssh where that is
configured. /usr/lib/warmboot/capture is then the script to run where devices and the network are up."""
_EXAMPLES = ('warmboot kdump pack "$DESTDIR"',)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `pack`."""
    parser = add_command(
        subparsers, "pack", summary="fill an initrd's folder", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="what becomes the initrd")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    from warmboot.kdump.packing import Packer  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.text.words import size_text  # noqa: PLC0415

    if not args.folder.is_dir():
        raise InputError(f"{args.folder}: no folder", hint="make it: mkdir")
    config = config_of(args)
    packer = Packer(args.folder)
    packer.python(config.codec)
    packer.capture(config)
    packed = packer.packed
    parts = ", ".join(f"{name} {size_text(size)}" for name, size in packed.parts.most_common())
    print(f"warmboot: {size_text(packed.bytes)} in {packed.files} files: {parts}")
    print(f"warmboot: {'loaded whole in that folder' if packed.proven else 'not tried in that folder: not root'}")
    return ExitStatus.DONE
