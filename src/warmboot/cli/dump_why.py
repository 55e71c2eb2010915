"""`warmboot dump why`: which rule keeps a page, or leaves it out."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError
from warmboot.numbers import number

__all__ = ["add_parser", "run"]

_WHEN = "Use it where a page is missing in a dump, or should be: it says which rule decided, at which dump levels."
_ABOUT = "The file is a dump that still has the page's struct page: any does, as no level leaves out the memory map."
_EXAMPLES = ("warmboot dump why /proc/vmcore 0x16800", "warmboot dump why --json crash.vmcore 4096")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `why`."""
    parser = add_command(
        subparsers, "why", summary="which rule keeps or drops a page", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    parser.add_argument("pfn", metavar="PFN", help="the page: its physical address divided by the page size")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.why import why  # noqa: PLC0415
    from warmboot.report.text.dump_info import why_lines  # noqa: PLC0415

    pfn = number(args.pfn, 0)
    if pfn is None:
        raise InputError(f"{args.pfn!r}: no number of a page", hint="decimal, or hexadecimal with 0x")
    found = why(open_dump(*args.file), pfn)
    if args.json:
        print_json(document("dump-why", found))
        return 0
    print_answer(why_lines(found), indent=10)
    return 0
