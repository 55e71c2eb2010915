"""`warmboot fuzz`: generated calls on a real kernel and on the model, and disagreements made small."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, add_profile, whole_number
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.profiles import profile_named
from warmboot.cli.record import QEMU_VARIABLES, add_target, memory_of
from warmboot.cli.replay import AGREE, description, disagreement, print_lines
from warmboot.errors import ExitStatus, InputError
from warmboot.memmap import Facts
from warmboot.oracle.calls.fuzz import Target, compare_answers, generated, shrink
from warmboot.oracle.calls.recorder import Recording
from warmboot.oracle.calls.replay import Disagreement
from warmboot.oracle.calls.trace import Answer, Operation, format_header, format_row
from warmboot.report.json.documents import CallCounts

__all__ = ["add_parser", "run"]

_WHEN = "Use it to find kexec calls that the model answers differently from a real kernel in QEMU."
_ABOUT = """\
The calls are generated, played on both, and compared. Of the first disagreement the smallest form that can be found is
printed: operations that may be given to `record`. The same seed gives the same calls on the same machine."""
_EXAMPLES = (
    "warmboot fuzz vmlinuz --calls 1000 --seed 1",
    "warmboot fuzz vmlinuz --memory 4G --append crashkernel=256M --out trace.jsonl",
)
_SHOWN = 10  # disagreements


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `fuzz`."""
    parser = add_command(
        subparsers,
        "fuzz",
        summary="generated kexec calls on a real kernel and on the model, compared",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses=AGREE,
        environment=QEMU_VARIABLES,
    )
    add_target(parser)
    parser.add_argument("--seed", type=whole_number, default=1, metavar="N", help="of the generator (default: 1)")
    parser.add_argument("--calls", type=whole_number, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument("--out", type=Path, metavar="TRACE", help="keep the trace in this file")
    add_profile(parser)
    parser.add_argument("--64-bit-only", dest="only_64", action="store_true", help="do not use the 32-bit entry")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for a smaller form of a disagreement")
    add_json(parser, "print each disagreement, and at the end the counts, as JSON Lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fuzz. Raises WarmbootError where the guest dies."""
    if args.calls < 1:
        raise InputError(f"--calls {args.calls}: less than one", hint="--calls 1000")
    target = Target(args.kernel, memory_of(args), args.append, profile_named(args.profile))
    operations = generated(target.facts(), args.seed, args.calls, target.profile, compat=not args.only_64)
    facts, answers = _recorded(target, operations, args.out)
    results, _ = compare_answers(facts, operations, answers, target.profile)
    found = [each for each in results if each is not None]
    status = ExitStatus.DONE if results and not found else ExitStatus.REFUSED
    counts = CallCounts(len(results), len(results) - len(found), len(found))
    if args.json:
        for each in found:
            print_json(document("replay", disagreement(each), uses_qemu=True), one_line=True)
        print_json(document("replay", counts, uses_qemu=True), one_line=True)
        return status
    for each in found[:_SHOWN]:
        print_lines(description(each))
    if len(found) > _SHOWN:
        print(f"and {len(found) - _SHOWN} more")
    if found and not args.no_shrink:
        _show_smallest(target, operations[: _position(results) + 1])
    print(f"{counts.calls} calls, {counts.agree} agree, {counts.disagree} disagree")
    return status


def _position(results: list[Disagreement | None]) -> int:
    return next(number for number, each in enumerate(results) if each is not None)


def _recorded(target: Target, operations: list[Operation], out: Path | None) -> tuple[Facts, list[Answer]]:
    """All answers; what comes before a guest's death is in the file."""
    recording = Recording(target.kernel, operations, memory=target.memory, append=target.append)
    facts: Facts | None = None
    answers: list[Answer] = []
    file = _opened(out)
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


def _opened(path: Path | None) -> TextIO | None:
    try:
        return path.open("w", encoding="utf-8") if path else None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file by --out") from None


def _show_smallest(target: Target, operations: list[Operation]) -> None:
    print("looking for a smaller form ...", file=sys.stderr)
    print("the smallest form found:")
    for each in shrink(target, operations):
        print(f"  {format_row(each)}")
