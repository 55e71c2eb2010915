"""`warmboot dump diff`: which pages differ between two dumps of one machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import print_answer
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see what a filter left out, or what changed between two dumps of one machine."
_ABOUT = """Every page that is in one of the dumps is compared, whatever their formats. The kind of a page is the
rule by which `warmboot dump why` judges it; of a split dump one file is enough where the others lie beside it."""
_EXAMPLES = ("warmboot dump diff crash.vmcore crash.vmcore", "warmboot dump diff --json crash.vmcore crash.vmcore")
_MOST = 40  # ranges that are shown


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `diff`."""
    parser = add_command(
        subparsers,
        "diff",
        summary="which pages differ between two dumps",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "they have the same pages with the same bytes", "1": "they differ"},
    )
    parser.add_argument("a", metavar="A", type=Path, help="a dump")
    parser.add_argument("b", metavar="B", type=Path, help="another one of the same machine")
    parser.add_argument("--all", action="store_true", help=f"show every range, not the first {_MOST} alone")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.diff import diff_dumps  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.opening import open_dump  # noqa: PLC0415
    from warmboot.report.text.dump_check import diff_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Progress  # noqa: PLC0415

    progress = Progress(patience=1.0)
    try:
        found = diff_dumps(
            open_dump(args.a), open_dump(args.b), lambda done, total: progress.show("pages", done, total)
        )
    finally:
        progress.clear()
    if args.json:
        print_json(document("dump-diff", found))
    else:
        print_answer(diff_lines(found, most=len(found.ranges) if args.all else _MOST))
    return ExitStatus.REFUSED if found.differs or found.only_a or found.only_b or found.unreadable else ExitStatus.DONE
