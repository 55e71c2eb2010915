"""`warmboot kdump save`: in the capture kernel, save the dump where it is configured, and say how it went."""

from __future__ import annotations

import argparse
import sys
import time

from warmboot.cli.kdump_words import add_config, add_show, config_of, run_words, words
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus
from warmboot.kdump.config import VMCORE

__all__ = ["add_parser", "run"]

_WHEN = "Use it in the capture kernel, or on a dump file that `vmcore` names to see that the target works."
_ABOUT = """\
The log is saved first, then the dump, into a new folder: of this computer, of a device that is mounted for it, over
ssh, or to NFS. The result goes to the kernel's log, which the console shows and pstore keeps."""
_EXAMPLES = ("warmboot kdump save", "warmboot kdump save --show")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `save`."""
    parser = add_command(
        subparsers, "save", summary="save /proc/vmcore as configured", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_config(parser)
    add_show(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    config = config_of(args)
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    if args.show:
        return run_words(args, words("save", config, now))
    from warmboot.kdump.saving import save_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.kdump.told import tell  # noqa: PLC0415
    from warmboot.report.text.dump import SaveProgress, saved_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    # Only a capture kernel has that file, and only its log is of use to somebody.
    say = tell if config.vmcore == VMCORE else _silent
    progress = SaveProgress()
    try:
        saved = save_dump(config, now, say, progress)
    finally:
        progress.clear()
    terminal = Terminal(sys.stdout)
    for line in saved_lines(saved):
        terminal.line(line)
    if saved.missing:
        terminal.line(terminal.bad(saved.missing))
    return ExitStatus.DONE if saved.complete else ExitStatus.REFUSED


def _silent(_: str) -> None:
    """There is no capture kernel that could tell."""
