"""`warmboot dump check`: whether a dump is whole and sound."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run"]

_WHEN = "Use it on a dump that was copied, sent or cut off, before the machine it is of is used again."
_ABOUT = """It looks at headers, bitmaps, notes and VMCOREINFO, unpacks every page, and reads the log, the symbols, the
types, the tasks, the modules and the calls of each processor. Where something is wrong it says what still works."""
_EXAMPLES = ("warmboot dump check crash.vmcore", "warmboot dump check --json crash.vmcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = add_command(
        subparsers,
        "check",
        summary="whether a dump is whole and sound",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "it is whole and sound", "1": "something is missing or damaged"},
    )
    add_files(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.check import check_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.opening import open_dump  # noqa: PLC0415
    from warmboot.report.text.dump_check import check_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Progress  # noqa: PLC0415

    progress = Progress(patience=1.0)
    try:
        found = check_dump(open_dump(*args.file), lambda done, total: progress.show("pages", done, total))
    finally:
        progress.clear()
    if args.json:
        print_json(document("dump-check", found))
    else:
        print_answer(check_lines(found), indent=20)
    return ExitStatus.DONE if found.sound else ExitStatus.REFUSED
