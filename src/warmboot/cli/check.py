"""`warmboot check`: does this kernel load on every machine of a fleet?"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO

from warmboot.cli.answer import document, print_json
from warmboot.cli.asked_file import check_asked, write_asked
from warmboot.cli.options import (
    add_append,
    add_call,
    add_html,
    add_initrd,
    add_json,
    add_panic,
    add_profile,
    add_replace,
    command_line_request,
    whole_number,
)
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError
from warmboot.kernel.call import Call
from warmboot.visible import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.fleet.answers import FleetAnswer, MachineAnswer
    from warmboot.fleet.check import Runner
    from warmboot.fleet.parquet import Parquet
    from warmboot.report.html.fleet import Survey

__all__ = ["add_parser", "run"]

_WHEN = """\
Use it before a kernel, an initrd or a command line goes to many machines: on which would it not load, and why?"""
_ABOUT = """\
It needs the facts of each machine, as 'warmboot facts' prints them: a file or a line for each, folders of such files,
or standard input. Every machine is asked what 'load --dry-run' asks there; nothing is loaded. Refusals are grouped by
rule, each with the smallest change that fixes it, tried on the machine that lacks most. Where it would load, what may
fail after the jump is told too, as far as the facts have it ('warmboot risks' on the machine itself sees more)."""
_EXAMPLES = (
    "warmboot check /boot/vmlinuz-6.12 --initrd /boot/initrd.img-6.12 facts/",
    "warmboot check vmlinuz --initrd initrd.img fleet.jsonl --format jsonl",
    "warmboot check vmlinuz --initrd kdump.img --panic fleet.jsonl --json",
    "warmboot check vmlinuz facts/ --html fleet.html",
)
_MOST_JOBS = 1024
_TIMEOUT, _LONGEST_TIMEOUT = 10.0, 1e6  # seconds


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = add_command(
        subparsers,
        "check",
        summary="does it load on every machine of a fleet?",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses={
            "0": "it would load on every machine",
            "1": "a machine refuses",
            "2": "wrong usage, or facts that cannot be used: the others are checked all the same",
        },
    )
    add = parser.add_argument
    add("kernel", metavar="KERNEL", type=Path, help="the kernel to load")
    add("facts", metavar="FACTS", nargs="+", help="files, folders, or - for standard input")
    add_initrd(parser)
    add_replace(parser)
    add_append(parser)
    add_panic(parser, "as the crash kernel, into what each machine has reserved for it")
    add_call(parser, [each.value for each in Call])
    add_profile(parser)
    add("--verbose", action="store_true", help="each machine too, after the summary")
    add("--format", choices=("table", "jsonl"), default="table", metavar="FORMAT", help="table, jsonl (default: table)")
    add("--output", metavar="FILE.parquet", type=Path, help="write each machine's answer to a Parquet file (pyarrow)")
    add("--jobs", metavar="N", type=whole_number, help="processes (default: as many as there are processors)")
    add("--scheduler", metavar="ADDRESS", help="check on the Dask cluster whose scheduler is there (distributed)")
    add(
        "--timeout",
        metavar="S",
        type=float,
        help="seconds that the scheduler may take to answer (default: 10)",
    )
    add_html(parser, "groups with what fixes them, room as a distribution, machines, in one file")
    add_json(parser, "print the summary as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check all; the exit status. Raises WarmbootError where nothing can be checked."""
    from warmboot.fleet.check import check  # noqa: PLC0415 - only when it runs, as below
    from warmboot.fleet.documents import documents  # noqa: PLC0415
    from warmboot.fleet.parquet import Parquet  # noqa: PLC0415
    from warmboot.fleet.plan import Plan  # noqa: PLC0415
    from warmboot.report.text.fleet import fleet_lines  # noqa: PLC0415

    timeout = _checked(args)
    check_asked("--html", args.html)
    plan = Plan.of(
        str(args.kernel),
        [str(each) for each in args.initrd],
        command_line=command_line_request(args),
        call=Call(args.call),
        profile=args.profile,
        panic=args.panic,
    )
    with ExitStack() as stack:
        spool = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) if _spools(args) else None
        progress = _Progress()
        stack.callback(progress.clear)
        table = None if args.output is None else Parquet(args.output)
        each, survey = _sink(args, spool, table), None
        if args.html is not None:
            from warmboot.report.html.fleet import Survey  # noqa: PLC0415

            survey = Survey()
            each = _both(each, survey.add)
        answer = check(plan, documents(args.facts), _runner(args, timeout), each=each, progress=progress)
        if survey is not None:
            _write_page(args, answer, survey)
        if table is not None:
            table.close()
        progress.clear()
        if args.json or args.format == "jsonl":
            print_json(document("check", answer), one_line=args.format == "jsonl" and not args.json)
            return answer.exit_status
        for line in fleet_lines(answer):
            print(visible(line))
        if spool is not None:
            spool.seek(0)
            print()
            for line in spool:
                sys.stdout.write(line)
    return answer.exit_status


def _checked(args: argparse.Namespace) -> float:
    """The seconds of --timeout. Raises InputError for options of which one would be ignored, and for no numbers."""
    if args.jobs is not None and not 1 <= args.jobs <= _MOST_JOBS:
        raise InputError(f"--jobs {args.jobs}: that many cannot be", hint=f"1 to {_MOST_JOBS}")
    timeout: float = _TIMEOUT if args.timeout is None else args.timeout
    if not 0 < timeout <= _LONGEST_TIMEOUT:
        raise InputError(f"--timeout {timeout:g}: not from 0 to {_LONGEST_TIMEOUT:g} seconds", hint="such as 10")
    if args.format == "jsonl" and args.json:
        raise InputError("--json is the summary alone, --format jsonl every machine", hint="leave one out")
    if args.verbose and (args.json or args.format == "jsonl"):
        raise InputError("--verbose is of the table", hint="--format jsonl has every machine")
    if args.scheduler is None and args.timeout is not None:
        raise InputError("--timeout is the scheduler's", hint="add --scheduler, or leave it out")
    if args.scheduler is not None and args.jobs is not None:
        raise InputError("--jobs are processes of this computer, --scheduler is a cluster", hint="leave one out")
    return timeout


def _both(
    first: Callable[[MachineAnswer], None], second: Callable[[MachineAnswer], None]
) -> Callable[[MachineAnswer], None]:
    def each(answer: MachineAnswer) -> None:
        first(answer)
        second(answer)

    return each


def _write_page(args: argparse.Namespace, answer: FleetAnswer, survey: Survey) -> None:
    from warmboot.report.html.fleet import fleet_page  # noqa: PLC0415

    write_asked("--html", args.html, fleet_page(answer, survey, document("check", answer), panic=args.panic))


def _spools(args: argparse.Namespace) -> bool:
    return args.verbose and args.format == "table" and not args.json


def _sink(args: argparse.Namespace, spool: IO[str] | None, table: Parquet | None) -> Callable[[MachineAnswer], None]:
    """What is done with each machine's answer."""
    from warmboot.report.text.fleet import machine_line  # noqa: PLC0415

    head = document("check", {})

    def each(answer: MachineAnswer) -> None:
        if table is not None:
            table.add(answer)
        if spool is not None:
            print(visible(machine_line(answer)), file=spool)
        elif args.format == "jsonl" and not args.json:
            print(json.dumps({**head, **_members(answer)}, default=asdict), flush=True)

    return each


def _members(answer: MachineAnswer) -> dict[str, object]:
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}


def _runner(args: argparse.Namespace, timeout: float) -> Runner:
    if args.scheduler is not None:
        from warmboot.fleet.cluster import Cluster  # noqa: PLC0415 - only with --scheduler

        return Cluster(args.scheduler, tell, timeout)
    from warmboot.fleet.local import Local  # noqa: PLC0415

    return Local(args.jobs, tell)


def tell(line: str) -> None:
    """Say what happened on the way, on standard error."""
    print(f"warmboot: {visible(line)}", file=sys.stderr, flush=True)


class _Progress:
    """How many machines were checked, on a terminal, ten times a second at most."""

    def __init__(self) -> None:
        from warmboot.report.text.terminal import Count  # noqa: PLC0415

        self._count = Count()

    def __call__(self, done: int) -> None:
        self._count.show(f"{done:,} machines")

    def clear(self) -> None:
        """Erase the line."""
        self._count.clear()
