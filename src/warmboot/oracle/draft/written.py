"""A draft written down: as lines of Python for the repository, as a file for --profile, and its evidence in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import IntFlag
from typing import Any

from warmboot.kernel import PROFILES, Profile
from warmboot.kernel.arch import of
from warmboot.kernel.profile_file import PROFILE_VERSION
from warmboot.oracle.calls.trace import Answer, CrashSize, Operation, errno_name
from warmboot.oracle.calls.write_trace import format_row
from warmboot.oracle.draft.decide import Decision
from warmboot.oracle.draft.draft import Draft, Unexplained
from warmboot.oracle.draft.rules import RULES, rules_of

__all__ = ["evidence", "members_of", "nearest", "profile_json", "snippet", "unexplained_lines"]

_LONGEST = 200  # characters of a call
_MOST_OTHERS = 3  # values that a line of evidence names


def nearest(draft: Draft) -> tuple[Profile, dict[str, int]]:
    """The known profile with the fewest other rules, of equals the newest, and the rules that differ from it."""
    machine = draft.facts.machine
    wanted = rules_of(draft.profile, machine)
    differences = []
    for each in PROFILES:
        has = rules_of(each, machine)
        differences.append((each, {name: value for name, value in wanted.items() if value != has[name]}))
    return min(differences, key=lambda each: len(each[1]))


def snippet(draft: Draft) -> list[str]:
    """Lines for kernel/profile.py, and for the architecture's own; none where a known profile is all that is needed."""
    known, changes = nearest(draft)
    if not changes:
        return []
    profile = draft.profile
    variable = _variable(profile.name)
    before = "newest" if known is PROFILES[0] else _variable(known.name)
    general = _arguments({name: value for name, value in changes.items() if name in RULES})
    lines = [f'{variable} = replace({before}, name="{profile.name}", since={profile.since}{general})']
    machine = draft.facts.machine
    by_release = of(machine).own_values(replace(profile, own=()))
    own = {name: value for name, value in of(machine).own_values(profile).items() if value != by_release[name]}
    if own:
        lines.append(f"# and in kernel/arch/{machine}/profile.py, of the one before it there:")
        lines.append(f"{variable} = replace(..., since={profile.since}{_arguments(own)})")
    return lines


def profile_json(draft: Draft) -> str:
    """The file that --profile reads, with the evidence."""
    known, changes = nearest(draft)
    members = {
        "profile": PROFILE_VERSION,
        "name": draft.profile.name,
        "since": "{}.{}".format(*draft.profile.since),
        "machine": draft.facts.machine,
        "like": known.name,
        "changes": {name: value if isinstance(value, bool) else int(value) for name, value in changes.items()},
        "drafted_for": draft.facts.release,
        **members_of(draft),
    }
    return json.dumps(members, indent=2) + "\n"


def members_of(draft: Draft) -> dict[str, Any]:
    """The evidence as members of a JSON object."""
    return {
        "evidence": {each.rule: "; ".join(evidence(each)) for each in draft.decisions},
        "undecided": list(draft.undecided),
        "unexplained": [" ".join(unexplained_lines(each)) for each in draft.unexplained],
    }


def evidence(decision: Decision) -> Iterator[str]:
    """Why the rule is what it is: the calls, the kernel's answer, and the model's by other values."""
    calls = "images" if decision.telling is None else "calls"
    wrong = f", {decision.disagree} of {decision.asked} {calls} not explained" if decision.disagree else ""
    yield f"{decision.about}{wrong}"
    telling = decision.telling
    if telling is not None:
        others = [
            f"{_shown(telling.operation, answer)} by {shown_value(value)}"
            for value, answer in list(telling.others.items())[:_MOST_OTHERS]
        ]
        more = len(telling.others) - len(others)
        yield _call(telling.operation)
        said = ", ".join([*others, f"and {more} more"] if more > 0 else others)
        yield f"the kernel: {_shown(telling.operation, telling.answer)}; the model: {said}"


def unexplained_lines(each: Unexplained) -> Iterator[str]:
    """Of a kind of disagreement what there is to say."""
    reason = "which accepts it"
    if each.error is not None:
        reason = f"by {each.error.rule.name} ({each.error.rule.source})"
    yield f"{each.count} calls: the kernel {errno_name(each.linux)}, the model {errno_name(each.model)}, {reason}:"
    yield _call(each.operation)


def shown_value(value: int) -> str:
    """A rule's value as Python has it, flags and sizes in hexadecimal."""
    return str(value) if isinstance(value, bool) else f"{int(value):#x}"


def _shown(operation: Operation, answer: Answer) -> str:
    said = errno_name(answer.ret)
    if isinstance(operation, CrashSize):
        return f"{said}, {answer.kexec_crash_size} bytes left"
    loaded = f"{answer.kexec_loaded}{answer.kexec_crash_loaded}"
    return f"{said} ({loaded})" if loaded != "00" else said


def _call(operation: Operation) -> str:
    text = format_row(operation)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _arguments(changes: Mapping[str, int]) -> str:
    return "".join(f", {name}={_argument(value)}" for name, value in changes.items())


def _argument(value: int) -> str:
    return f"{type(value).__name__}({int(value):#x})" if isinstance(value, IntFlag) else shown_value(value)


def _variable(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")
