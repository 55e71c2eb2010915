"""`warmboot fuzz --draft-profile`: which rules a kernel has that nobody has compared, with the evidence."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator

from warmboot.cli.asked_file import check_asked, write_asked
from warmboot.errors import ExitStatus, InputError
from warmboot.kernel import choose
from warmboot.kernel import profile_named as named
from warmboot.oracle.draft.draft import Draft, draft
from warmboot.oracle.draft.handed_on import FILE_HANDED_ON
from warmboot.oracle.draft.rules import rules_of
from warmboot.oracle.draft.written import evidence, nearest, profile_json, shown_value, snippet, unexplained_lines
from warmboot.report.text.terminal import Terminal
from warmboot.visible import visible

__all__ = ["run"]

_ALONE = {"append": "--append", "memory": "--memory", "json": "--json"}


def run(args: argparse.Namespace) -> int:
    """Draft a profile. Raises WarmbootError where the kernel does not boot, or the file cannot be written."""
    for name, option in _ALONE.items():
        if getattr(args, name):
            raise InputError(
                f"--draft-profile chooses its machines, and prints for people: no {option}",
                hint="--out FILE writes the profile as JSON",
            )
    check_asked("--out", args.out)
    _tell_progress()
    began = time.monotonic()
    base = None if args.profile is None else named(args.profile)
    found = draft(args.kernel, args.calls, args.seed, base, compat=not args.only_64)
    if args.out is not None:
        write_asked("--out", args.out, profile_json(found))
    terminal = Terminal()
    for line in _lines(found):
        terminal.line(line, indent=4)
    terminal.line(f"drafted in {time.monotonic() - began:.0f} s")
    return ExitStatus.REFUSED if found.unexplained or found.undecided else ExitStatus.DONE


def _tell_progress() -> None:
    log = logging.getLogger("warmboot.oracle")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("==> %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def _lines(found: Draft) -> Iterator[str]:
    machine = found.facts.machine
    choice = choose(found.facts)
    yield f"Linux {visible(found.facts.release, most=60)}: by its release {choice.profile.name} ({choice.fit})"
    now, before = rules_of(found.profile, machine), rules_of(found.base, machine)
    yield ""
    yield f"its rules, asked one by one, beginning with {found.base.name}:"
    for decision in found.decisions:
        changed = "" if now[decision.rule] == before[decision.rule] else f", was {shown_value(before[decision.rule])}"
        known = "" if decision.decided else " (not decided: no value does better)"
        yield f"  {decision.rule} = {shown_value(now[decision.rule])}{changed}{known}"
        yield from (f"      {each}" for each in evidence(decision))
    yield ""
    for kind, (count, agree) in found.compared.items():
        yield f"{count} generated calls of {kind}: {agree} agree, {count - agree} disagree"
    if found.undecided:
        yield f"not decided by any call, taken from {found.base.name}: {', '.join(found.undecided)}"
    yield f"not asked for, taken from {found.base.name}: {', '.join(FILE_HANDED_ON)}"
    if found.unexplained:
        yield "what no rule of a profile explains:"
        yield from (f"  {line}" for each in found.unexplained for line in unexplained_lines(each))
    yield ""
    like, changes = nearest(found)
    lines = snippet(found)
    if lines:
        yield f"the profile, which differs from {like.name} in {', '.join(changes)}:"
        yield from (f"  {line}" for line in lines)
    else:
        yield f"the profile is {like.name}: no rule is new"
