"""`warmboot dump bt`: what each processor did at the crash, function by function."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files, print_answer, status_of
from warmboot.cli.options import add_json, whole_number
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError

if TYPE_CHECKING:
    from warmboot.dump.bt import Backtrace, Backtraces
    from warmboot.dump.kernel import Kernel

__all__ = ["add_parser", "run"]

_WHEN = "Use it to see why a kernel crashed: the functions that the processor was in when it panicked, and the others'."
_ABOUT = """\
The processor that panicked comes first. The stack is unwound by the kernel's own ORC tables, which lie in the dump;
where they end, the rest of the stack is scanned, and what is found so has a "?"."""
_EXAMPLES = (
    "warmboot dump bt crash.vmcore",
    "warmboot dump bt --cpu 1 crash.vmcore",
    "warmboot dump bt --pid 1 --json crash.vmcore",
    "warmboot dump bt --all crash.vmcore",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `bt`."""
    parser = add_command(
        subparsers, "bt", summary="call chains of processors and tasks", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="of every task")
    which.add_argument("--cpu", type=whole_number, metavar="N", help="of this processor")
    which.add_argument("--pid", type=whole_number, metavar="N", help="of this task, which may be a thread")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.bt import Backtraces, Stacks  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.kernel import Kernel  # noqa: PLC0415
    from warmboot.dump.opening import open_dump  # noqa: PLC0415
    from warmboot.report.text.dump_kernel import backtrace_lines  # noqa: PLC0415

    memory = open_dump(*args.file)
    kernel = Kernel(memory)
    problems: list[str] = []
    chosen = _chosen(args, kernel, Backtraces(kernel, memory.notes), problems)
    if args.json:
        print_json(document("dump-bt", Stacks(tuple(chosen), tuple(problems))))
    else:
        print_answer(line for backtrace in chosen for line in backtrace_lines(backtrace))
    return status_of(problems, json=args.json)


def _chosen(
    args: argparse.Namespace, kernel: Kernel, backtraces: Backtraces, problems: list[str]
) -> Iterator[Backtrace]:
    from warmboot.dump.tasks import read_tasks  # noqa: PLC0415

    if args.all or args.pid is not None:
        found = read_tasks(kernel)
        tasks = [each for each in found.tasks if args.all or each.pid == args.pid]
        if not tasks:
            raise InputError(f"no task has pid {args.pid}", hint=f"warmboot dump tasks {args.file[0]}")
        problems.extend(found.problems)
        return (backtraces.task(each.address) for each in tasks)
    processors = sorted(backtraces.processors, key=lambda each: not each.panicked)
    if args.cpu is not None:
        processors = [each for each in processors if each.number == args.cpu]
        if not processors:
            numbers = ", ".join(str(each.number) for each in backtraces.processors)
            raise InputError(f"there is no processor {args.cpu}", hint=f"these are present: {numbers}")
    return (backtraces.processor(each) for each in processors)
