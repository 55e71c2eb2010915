"""`warmboot dump info`: what a dump is of, and why there is one."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer
from warmboot.cli.options import add_html, add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus

__all__ = ["add_parser", "run"]

_WHEN = "Use it first on any dump: kernel, machine, when and why it crashed, taints, and how much is in the dump."
_ABOUT = "It is what kernel developers ask for first; it needs no debug information."
_EXAMPLES = ("warmboot dump info crash.vmcore", "warmboot dump info --html page.html crash.vmcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `info`."""
    parser = add_command(
        subparsers, "info", summary="what crashed, when and why", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    add_html(parser, "panic, call chains, registers, the log's end, a picture of memory, in one file")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.info import dump_info  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.opening import open_dump  # noqa: PLC0415
    from warmboot.report.text.dump_info import info_lines  # noqa: PLC0415

    source = open_dump(*args.file)
    info = dump_info(source)
    if args.html is not None:
        from warmboot.cli.asked_file import write_asked  # noqa: PLC0415
        from warmboot.report.html.dump import dump_page  # noqa: PLC0415

        page = dump_page(args.file[0].name, source, info, document("dump-info", info))
        write_asked("--html", args.html, page)
    if args.json:
        print_json(document("dump-info", info))
    else:
        print_answer(info_lines(info), indent=10)
    return ExitStatus.REFUSED if info.problems else ExitStatus.DONE
