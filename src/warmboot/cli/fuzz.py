"""`warmboot fuzz`: generated calls on a real kernel and on the model, and disagreements made small."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from warmboot.cli.record import add_target, memory_of
from warmboot.cli.replay import describe, profile_named
from warmboot.errors import ExitStatus
from warmboot.memmap import Facts
from warmboot.oracle.calls.fuzz import Target, compare, generated, shrink
from warmboot.oracle.calls.recorder import Recording
from warmboot.oracle.calls.replay import Disagreement
from warmboot.oracle.calls.trace import Answer, Operation, format_header, format_row

__all__ = ["add_parser", "run"]

_DESCRIPTION = """\
Generate telling kexec calls, play them on a real kernel in QEMU and on the model, and compare. Of the first
disagreement the smallest form that can be found is printed: operations that may be given to `record`.
The same seed gives the same calls on the same machine.
"""
_SHOWN = 10  # disagreements


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `fuzz`."""
    parser = subparsers.add_parser(
        "fuzz",
        help="generated kexec calls on a real kernel and on the model, compared",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the generator (default: 1)")
    parser.add_argument("--calls", type=int, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument("--out", type=Path, metavar="TRACE", help="keep the trace in this file")
    parser.add_argument("--profile", metavar="NAME", help="a release's rules, if not those of the kernel")
    parser.add_argument("--64-bit-only", dest="only_64", action="store_true", help="leave out the 32-bit entry")
    parser.add_argument("--no-shrink", action="store_true", help="show disagreements as they are")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fuzz. Raises WarmbootError where the guest dies."""
    target = Target(args.kernel, memory_of(args), args.append, profile_named(args.profile))
    operations = generated(target.facts(), args.seed, args.calls, target.profile, compat=not args.only_64)
    facts, answers = _recorded(target, operations, args.out)
    results, _ = compare(facts, operations, answers, target.profile)
    found = [each for each in results if each is not None]
    for each in found[:_SHOWN]:
        print(describe(each))
    if len(found) > _SHOWN:
        print(f"and {len(found) - _SHOWN} more")
    if found and not args.no_shrink:
        _show_smallest(target, operations[: _position(results) + 1])
    print(f"{len(results)} calls, {len(results) - len(found)} agree, {len(found)} disagree")
    return ExitStatus.DONE if results and not found else ExitStatus.REFUSED


def _position(results: list[Disagreement | None]) -> int:
    return next(number for number, each in enumerate(results) if each is not None)


def _recorded(target: Target, operations: list[Operation], out: Path | None) -> tuple[Facts, list[Answer]]:
    """All answers; what comes before a guest's death is in the file."""
    recording = Recording(target.kernel, operations, memory=target.memory, append=target.append)
    facts: Facts | None = None
    answers: list[Answer] = []
    file: TextIO | None = out.open("w", encoding="utf-8") if out else None
    try:
        for each in recording.play():
            if isinstance(each, Facts):
                facts = each
                line = format_header(each)
            else:
                line = format_row(operations[len(answers)], each)
                answers.append(each)
            if file is not None:
                file.write(f"{line}\n")
    finally:
        if file is not None:
            file.close()
    assert facts is not None
    return facts, answers


def _show_smallest(target: Target, operations: list[Operation]) -> None:
    print("making it small ...", file=sys.stderr)
    print("the smallest form found:")
    for each in shrink(target, operations):
        print(f"  {format_row(each)}")
