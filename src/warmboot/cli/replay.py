"""`warmboot replay`: a trace played on the model, and every disagreement with the real kernel."""

from __future__ import annotations

import argparse
import json

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, add_profile
from warmboot.cli.parser import Subparsers, add_command
from warmboot.cli.profiles import profile_named
from warmboot.cli.record import add_contents
from warmboot.errors import ExitStatus
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.read_trace import read_header, read_rows, read_version
from warmboot.oracle.calls.replay import Disagreement, Player, replay
from warmboot.oracle.calls.trace import Answer, errno_name
from warmboot.oracle.calls.write_trace import format_row
from warmboot.report.json.documents import CallCounts, ReplayDisagreement
from warmboot.report.text.terminal import Terminal

__all__ = ["AGREE", "add_parser", "description", "disagreement", "print_lines", "run"]

_WHEN = "Use it to see whether the model answers kexec calls as the kernel did on which a trace was recorded."
_ABOUT = "Each disagreement is shown whole, with the model's reason."
_EXAMPLES = ("warmboot replay trace.jsonl", "warmboot replay trace.jsonl --profile linux-6.1 --json")
AGREE = {"0": "all agree, and at least one was compared", "1": "some disagree, or none was compared"}


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `replay`."""
    parser = add_command(
        subparsers,
        "replay",
        summary="play a recorded trace on the model, and compare",
        when=_WHEN,
        about=_ABOUT,
        examples=_EXAMPLES,
        statuses=AGREE,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, or - for standard input")
    add_contents(parser)
    add_profile(parser)
    add_json(parser, "print each disagreement, and at the end the counts, as JSON Lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Replay. Raises WarmbootError where the trace cannot be read."""
    profile = profile_named(args.profile)
    lines = read_lines(args.trace)
    header = next(lines, "")
    facts = read_header(header, args.trace)
    version = read_version(header)
    calls = disagreements = 0
    contents = Contents(args.contents)
    rows = read_rows(lines, args.trace, contents=contents, version=version)
    with Player(facts, profile, contents) as player:
        for found in replay(player, rows):
            calls += 1
            if found is not None:
                disagreements += 1
                if args.json:
                    print_json(document("replay", disagreement(found)), one_line=True)
                else:
                    print_lines(description(found))
    agree = calls - disagreements
    if args.json:
        print_json(document("replay", CallCounts(calls, agree, disagreements)), one_line=True)
    else:
        print(f"{calls} calls, {agree} agree, {disagreements} disagree")
    return ExitStatus.DONE if calls and not disagreements else ExitStatus.REFUSED


def print_lines(lines: list[str]) -> None:
    """Print them for a person."""
    terminal = Terminal()
    for line in lines:
        terminal.line(line, indent=4)


def description(found: Disagreement) -> list[str]:
    """A disagreement, whole: the call, both answers, and why the model answers so."""
    assert found.row.answer is not None
    reason = "it accepts"
    if found.error is not None:
        reason = f"{found.error.rule.name} ({found.error.rule.source}): {found.error}"
    return [
        f"line {found.row.line}: {format_row(found.row.operation)}",
        f"  Linux: {_shown(found.row.answer)}",
        f"  model: {_shown(found.model)}",
        f"  the model's reason: {reason}",
    ]


def _shown(answer: Answer) -> str:
    after = f"kexec_loaded={answer.kexec_loaded} kexec_crash_loaded={answer.kexec_crash_loaded}"
    if answer.kexec_crash_size is not None:
        after += f" kexec_crash_size={answer.kexec_crash_size}"
    if answer.out is not None:
        after += f" out={answer.out}"
    return f"ret={answer.ret} ({errno_name(answer.ret)}) {after}"


def disagreement(found: Disagreement) -> ReplayDisagreement:
    """The same for a script."""
    error = found.error
    return ReplayDisagreement(
        line=found.row.line,
        recorded=json.loads(format_row(found.row.operation, found.row.answer)),
        model=found.model._asdict(),
        rule=error.rule.name if error else None,
        reason=str(error) if error else None,
    )
