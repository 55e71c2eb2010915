"""`warmboot replay`: a trace played on the model, and every disagreement with the real kernel."""

from __future__ import annotations

import argparse
import json

from warmboot.errors import ExitStatus, InputError
from warmboot.kernel import PROFILES, Profile
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.replay import Disagreement, Player, replay
from warmboot.oracle.calls.trace import Answer, errno_name, format_row, read_header, read_rows
from warmboot.visible import visible

__all__ = ["add_parser", "describe", "profile_named", "run"]

_DESCRIPTION = """\
Play the operations of a trace on the model, and compare return value and state after each call with what
the real kernel answered. Each disagreement is shown whole, with the model's reason.
Exit status: 0 only where none disagrees and at least one was compared.
"""
_LONGEST = 500  # characters of what a trace, or the model about it, says


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `replay`."""
    parser = subparsers.add_parser(
        "replay",
        help="play a recorded trace on the model, and compare",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace, or - for standard input")
    parser.add_argument("--profile", metavar="NAME", help="a release's rules, if not those of the trace's kernel")
    parser.add_argument("--json", action="store_true", help="print each disagreement and the counts as JSON Lines")
    parser.set_defaults(run=run)


def profile_named(name: str | None) -> Profile | None:
    """The profile of that name, or None where none is named. Raises InputError."""
    if name is None:
        return None
    for profile in PROFILES:
        if profile.name == name:
            return profile
    raise InputError(f"--profile {name}: there is none", hint=", ".join(each.name for each in PROFILES))


def run(args: argparse.Namespace) -> int:
    """Replay. Raises WarmbootError where the trace cannot be read."""
    profile = profile_named(args.profile)
    lines = read_lines(args.trace)
    facts = read_header(next(lines, ""), args.trace)
    calls = disagreements = 0
    with Player(facts, profile) as player:
        for found in replay(player, read_rows(lines, args.trace)):
            calls += 1
            if found is not None:
                disagreements += 1
                print(json.dumps(_members(found)) if args.json else describe(found))
    agree = calls - disagreements
    if args.json:
        print(json.dumps({"calls": calls, "agree": agree, "disagree": disagreements}))
    else:
        print(f"{calls} calls, {agree} agree, {disagreements} disagree")
    return ExitStatus.DONE if calls and not disagreements else ExitStatus.REFUSED


def describe(found: Disagreement) -> str:
    """A disagreement, whole: the call, both answers, and why the model answers so."""
    assert found.row.answer is not None
    reason = "it accepts"
    if found.error is not None:
        reason = f"{found.error.rule.name} ({found.error.rule.source}): {found.error}"
    return (
        f"line {found.row.line}: {format_row(found.row.operation)}\n"
        f"  Linux: {_shown(found.row.answer)}\n"
        f"  model: {_shown(found.model)}\n"
        f"  the model's reason: {visible(reason, most=_LONGEST)}"
    )


def _shown(answer: Answer) -> str:
    after = f"kexec_loaded={answer.kexec_loaded} kexec_crash_loaded={answer.kexec_crash_loaded}"
    if answer.kexec_crash_size is not None:
        after += f" kexec_crash_size={answer.kexec_crash_size}"
    return visible(f"ret={answer.ret} ({errno_name(answer.ret)}) {after}", most=_LONGEST)


def _members(found: Disagreement) -> dict[str, object]:
    error = found.error
    return {
        "line": found.row.line,
        "recorded": json.loads(format_row(found.row.operation, found.row.answer)),
        "model": found.model._asdict(),
        "rule": error.rule.name if error else None,
        "reason": str(error) if error else None,
    }
