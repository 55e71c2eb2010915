"""`warmboot kdump test`: would a crash of this computer give a dump? Asked before it."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.kdump_words import add_config, add_show, config_of, run_words, words
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run"]

_WHEN = "Use it before you trust a machine to kdump: does the initrd fit, can the target be written, is there room?"
_ABOUT = """\
The target is tried as it will be used: a file is written there, over ssh or on NFS too, and removed. Then the crash is
rehearsed in QEMU (warmboot rehearse --crash) while this computer runs on; --quick and --json leave that out."""
_EXAMPLES = ("warmboot kdump test", "warmboot kdump test --quick", "warmboot kdump test --json")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `test`."""
    parser = add_command(
        subparsers,
        "test",
        summary="try all of it, before a crash",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        environment=("WARMBOOT_QEMU", "WARMBOOT_ACCEL"),
    )
    add_config(parser)
    add_show(parser)
    parser.add_argument("--quick", action="store_true", help="no rehearsal: only this computer and the target")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError."""
    config = config_of(args)
    if args.show:
        return run_words(args, words("test", config))
    from warmboot.kdump.trial import try_kdump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.text.kdump import check_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    trial = try_kdump(config)
    good = all(each.ok is not False for each in trial.checks)
    if args.json:
        print_json(document("kdump-test", trial))
        return ExitStatus.DONE if good else ExitStatus.REFUSED
    terminal = Terminal()
    for each, line in zip(trial.checks, check_lines(trial.checks), strict=True):
        terminal.line(terminal.bad(line) if each.ok is False else line)
    if not good:
        return ExitStatus.REFUSED
    return ExitStatus.DONE if args.quick else run_words(args, words("test", config))
