"""`warmboot dump drgn`: drgn's shell on a dump, also on one that drgn itself cannot read."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import MissingToolError

__all__ = ["add_parser", "run"]

_WHEN = "Use it to look at anything in a dump, by a program or by hand, with drgn (an optional part: pip install drgn)."
_ABOUT = """\
drgn reads the file itself where it can, else through warmboot. The kernel's symbols are found in the dump; types and
call chains need debug information: a file given with -s."""
_EXAMPLES = (
    "warmboot dump drgn -e \"print(prog['UTS_RELEASE'].string_())\" crash.vmcore",
    "warmboot dump drgn -e \"print(hex(prog.symbol('init_task').address))\" crash.vmcore",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `drgn`."""
    parser = add_command(
        subparsers, "drgn", summary="drgn's shell on a dump", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a dump")
    parser.add_argument(
        "-s", "--symbols", metavar="FILE", type=Path, action="append", default=[], help="a vmlinux or module with them"
    )
    parser.add_argument("--reader", choices=("drgn", "warmboot"), default="", help="(default: drgn's, if it can)")
    parser.add_argument("-e", "--execute", metavar="CODE", help="run this Python, with drgn's names, and no shell")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    try:
        import drgn.cli  # noqa: PLC0415 - an optional part
    except ImportError:
        raise MissingToolError("drgn is not installed", hint="pip install drgn") from None
    from warmboot.dump.drgn_program import drgn_program  # noqa: PLC0415

    program, reader = drgn_program(args.file, args.symbols, args.reader)
    if args.execute is not None:
        exec(compile(args.execute, "<-e>", "exec"), drgn.cli.default_globals(program))
        return 0
    drgn.cli.run_interactive(program, banner_func=lambda banner: f"read by {reader}\n{banner}")
    return 0
