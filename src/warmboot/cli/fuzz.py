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
from warmboot.oracle.calls.fuzz import (
    Target,
    compare_answers,
    generated,
    generated_file_loads,
    generated_live_updates,
    shrink,
)
from warmboot.oracle.calls.recorder import Recording
from warmboot.oracle.calls.replay import Disagreement
from warmboot.oracle.calls.trace import Answer, Operation
from warmboot.oracle.calls.write_trace import format_contents, format_header, format_row
from warmboot.report.json.documents import CallCounts

__all__ = ["add_parser", "run"]

_WHEN = "Use it to find kexec calls that the model answers differently from a real kernel in QEMU."
_ABOUT = """\
The calls are generated, played on both, and compared. Of the first disagreement the smallest form that can be found is
printed: operations that `record` takes. The same seed gives the same calls on the same machine."""
_EXAMPLES = (
    "warmboot fuzz vmlinuz --calls 1000 --seed 1",
    "warmboot fuzz vmlinuz --call kexec_file_load --append 'crashkernel=16M loglevel=1'",
    "warmboot fuzz vmlinuz --call liveupdate --append 'kho=on liveupdate=on'",
    "warmboot fuzz vmlinuz --memory 4G --append crashkernel=256M --out trace.jsonl",
    "warmboot fuzz --draft-profile vmlinuz --out linux-7.3.json",
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
    parser.add_argument("--seed", type=whole_number, default=1, metavar="N", help="the generator's seed (default: 1)")
    parser.add_argument("--calls", type=whole_number, default=1000, metavar="N", help="number of calls (default: 1000)")
    parser.add_argument("--out", type=Path, metavar="TRACE", help="keep the trace, or the profile, in this file")
    add_profile(parser)
    parser.add_argument(
        "--call",
        choices=("kexec_load", "kexec_file_load", "liveupdate"),
        default="kexec_load",
        metavar="CALL",
        help="which calls: kexec_load, kexec_file_load, or liveupdate: those of a process that prepares a live update"
        " by /dev/liveupdate, with a jump in the middle (default: kexec_load)",
    )
    parser.add_argument(
        "--draft-profile",
        action="store_true",
        help="find out which rules the kernel has, by calls that tell them, and then by --calls generated ones of both"
        " system calls: print the profile with its evidence, and what no profile explains; --out keeps it for"
        " --profile, which here says where to begin",
    )
    parser.add_argument("--64-bit-only", dest="only_64", action="store_true", help="do not use the 32-bit entry")
    parser.add_argument("--no-shrink", action="store_true", help="do not search for a smaller form of a disagreement")
    add_json(parser, "print each disagreement, and at the end the counts, as JSON Lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fuzz. Raises WarmbootError where the guest dies."""
    if args.calls < 1:
        raise InputError(f"--calls {args.calls}: less than one", hint="--calls 1000")
    if args.draft_profile:
        from warmboot.cli.draft_profile import run as draft_profile  # noqa: PLC0415 - it needs the witness

        return draft_profile(args)
    target = Target(args.kernel, memory_of(args), args.append, profile_named(args.profile))
    operations = _operations(target, args)
    facts, answers = _recorded(target, operations, args.out)
    results, _ = compare_answers(facts, operations, answers, target.profile, target.contents)
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


def _operations(target: Target, args: argparse.Namespace) -> list[Operation]:
    if args.call == "kexec_file_load":
        return generated_file_loads(target, args.seed, args.calls)
    if args.call == "liveupdate":
        return generated_live_updates(target, args.seed, args.calls)
    return generated(target.facts(), args.seed, args.calls, target.profile, compat=not args.only_64)


def _position(results: list[Disagreement | None]) -> int:
    return next(number for number, each in enumerate(results) if each is not None)


def _recorded(target: Target, operations: list[Operation], out: Path | None) -> tuple[Facts, list[Answer]]:
    """All answers; what comes before a guest's death is in the file."""
    contents = target.contents
    recording = Recording(target.kernel, operations, memory=target.memory, append=target.append, contents=contents)
    facts: Facts | None = None
    answers: list[Answer] = []
    file = _opened(out)
    try:
        for each in recording.play():
            if isinstance(each, Facts):
                facts = each
                line = "\n".join([format_header(each, operations), *format_contents(operations, contents)])
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
