"""`warmboot dump modules`: the modules of the kernel that a dump is of."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer, status_of
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see which modules were loaded at the crash, where, and which of them taint the kernel."
_ABOUT = "Names, sizes, addresses and taints are those of /proc/modules; the module that was loaded last comes first."
_EXAMPLES = ("warmboot dump modules crash.vmcore", "warmboot dump modules --json crash.vmcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `modules`."""
    parser = add_command(
        subparsers, "modules", summary="the modules of the kernel", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.kernel import Kernel  # noqa: PLC0415
    from warmboot.dump.modules import read_modules  # noqa: PLC0415
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.report.text.dump_kernel import modules_lines  # noqa: PLC0415

    answer = read_modules(Kernel(open_dump(*args.file)))
    if args.json:
        print_json(document("dump-modules", answer))
    else:
        print_answer(modules_lines(answer))
    return status_of(answer.problems, json=args.json)
