"""`warmboot compare`: what differs between two reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.asked_file import write_asked
from warmboot.cli.options import add_html, add_json
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser", "run"]

_WHEN = "Use it when something worked on one machine, or yesterday, and does not now: what is different?"
_ABOUT = """\
It takes two reports of the same command: what --json printed, or pages that --html wrote, which have the console and
the facts too. Stages, figures, segments and why they lie there, checks, registers and the console are compared.
Times are listed apart, as they always differ, and a console alone is no difference: no two boots print the same."""
_EXAMPLES = (
    "warmboot compare monday.html tuesday.html",
    "warmboot compare here.json there.json --html page.html",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `compare`."""
    parser = add_command(
        subparsers,
        "compare",
        summary="what differs between two reports",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={"0": "they are the same, but for what differs each time", "1": "they differ"},
    )
    parser.add_argument("a", metavar="A", type=Path, help="a report: JSON or a page")
    parser.add_argument("b", metavar="B", type=Path, help="another one of the same command")
    add_html(parser, "both pictures of memory, every difference, the console, in one file")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.report.compare.compare import compare  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.compare.given import read_report  # noqa: PLC0415

    a, b = read_report(args.a), read_report(args.b)
    found = compare(a, b)
    if args.html is not None:
        from warmboot.report.html.compare import compare_page  # noqa: PLC0415

        write_asked("--html", args.html, compare_page(a, b, found, document("compare", found)))
    if args.json:
        print_json(document("compare", found))
    else:
        from warmboot.report.text.compare import comparison_lines  # noqa: PLC0415
        from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

        terminal = Terminal()
        for line in comparison_lines(found):
            terminal.line(line, indent=4)
    return found.exit_status
