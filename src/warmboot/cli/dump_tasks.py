"""`warmboot dump tasks`: every task of the kernel that a dump is of."""

from __future__ import annotations

import argparse

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer, status_of
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see which processes and threads there were at the crash, and what each did: ran, slept, waited."
_ABOUT = """\
No debug information is needed: symbols and types are those that the kernel has in its own memory. `>` marks what ran;
S is the state as `ps` shows it."""
_EXAMPLES = ("warmboot dump tasks crash.vmcore", "warmboot dump tasks --json crash.vmcore")


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `tasks`."""
    parser = add_command(
        subparsers, "tasks", summary="every process and thread", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.kernel import Kernel  # noqa: PLC0415
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.tasks import read_tasks  # noqa: PLC0415
    from warmboot.report.text.dump_kernel import tasks_lines  # noqa: PLC0415

    answer = read_tasks(Kernel(open_dump(*args.file)))
    if args.json:
        print_json(document("dump-tasks", answer))
    else:
        print_answer(tasks_lines(answer))
    return status_of(answer.problems, json=args.json)
