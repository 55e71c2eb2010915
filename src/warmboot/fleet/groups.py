"""Refusals by rule, in memory that does not grow with the machines; and the smallest change that mends each group."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from warmboot.errors import InputError, WarmbootError
from warmboot.fleet.answers import Document, Group, MachineAnswer, Problem, RiskGroup
from warmboot.fleet.checker import Checker
from warmboot.fleet.plan import Plan
from warmboot.kernel.call import Call
from warmboot.memmap import Facts
from warmboot.memmap.crashkernel import parse_crashkernel, with_crash_kernel
from warmboot.memmap.crashkernel import without_reservation as without
from warmboot.numbers import size_text
from warmboot.risks.risk import LIKELY, Risk

__all__ = ["Tally"]

_MOST_GROUPS = 200  # what does not fit is counted by rule alone
_MOST_PROBLEMS = 20
_MOST_NOTES = 50
_NAMES = 5
_MIB = 1 << 20
_MOST_RESERVED, _STEP = 2 << 10, 16  # MiB of reservations that are tried


@dataclass
class _Kept:
    answer: MachineAnswer
    document: Document
    machines: int = 0
    names: list[str] = field(default_factory=list)


@dataclass
class _KeptRisk:
    risk: Risk
    machines: int = 0
    names: list[str] = field(default_factory=list)


class Tally:
    """Counts answers as they come."""

    def __init__(self) -> None:
        self.machines: int = 0
        self.loads: int = 0
        self.unusable: int = 0
        self.died: int = 0
        self.problems: list[Problem] = []
        self.notes: Counter[str] = Counter()
        self._groups: dict[tuple[str, str], _Kept] = {}
        self._risks: dict[tuple[str, str], _KeptRisk] = {}

    def add(self, document: Document | Problem, answer: MachineAnswer | Problem) -> None:
        """Count one."""
        if isinstance(answer, Problem) or isinstance(document, Problem):
            self.unusable += 1
            if len(self.problems) < _MOST_PROBLEMS and isinstance(answer, Problem):
                self.problems.append(answer)
            return
        self.machines += 1
        self.loads += answer.loads
        for each in answer.notes:
            if each in self.notes or len(self.notes) < _MOST_NOTES:
                self.notes[each] += 1
        if answer.loads:
            self._add_risks(answer)
            return
        key = str(answer.rule), answer.subject
        if key not in self._groups and len(self._groups) >= _MOST_GROUPS:
            key = str(answer.rule), ""
        kept = self._groups.setdefault(key, _Kept(answer, document))
        kept.machines += 1
        if len(kept.names) < _NAMES:
            kept.names.append(answer.name)
        if answer.short > kept.answer.short:
            kept.answer, kept.document = answer, document

    def _add_risks(self, answer: MachineAnswer) -> None:
        """Each of a machine's risks once, though several of its devices may have it."""
        for each in {(one.rule, one.subject): one for one in reversed(answer.risks)}.values():
            key = each.rule, each.subject
            if key not in self._risks and len(self._risks) >= _MOST_GROUPS:
                continue
            kept = self._risks.setdefault(key, _KeptRisk(each))
            kept.machines += 1
            if len(kept.names) < _NAMES:
                kept.names.append(answer.name)

    def risks(self) -> tuple[RiskGroup, ...]:
        """What may fail after the jump where it loads: the likely first, then what most machines have."""
        kept = sorted(
            self._risks.values(),
            key=lambda each: (each.risk.confidence != LIKELY, -each.machines, each.risk.rule, each.risk.subject),
        )
        return tuple(
            RiskGroup(
                each.risk.rule,
                each.risk.confidence,
                each.risk.subject,
                each.machines,
                tuple(each.names),
                each.risk.seen,
            )
            for each in kept
        )

    def groups(self, plan: Plan) -> tuple[Group, ...]:
        """The groups, the largest first, each with a change that was tried on the machine that lacks most."""
        kept = sorted(self._groups.items(), key=lambda each: (-each[1].machines, each[0]))
        return tuple(
            Group(
                rule=rule,
                subject=subject or "for different things",
                machines=each.machines,
                names=tuple(each.names),
                reason=each.answer.reason,
                short=each.answer.short,
                change=_change(plan, each.document),
                tried_on=each.answer.name,
                hint=each.answer.hint,
            )
            for (rule, subject), each in kept
        )


def _change(plan: Plan, document: Document) -> str | None:
    """The smallest change that the model takes, of those that were tried; None where none helps."""
    for call in (Call.LOAD, Call.FILE):
        if call is not plan.call and _loads(plan.with_call(call), document):
            return f"--call {call.value}"
    if plan.panic and (size := _reservation(plan, document)):
        return f"crashkernel={size}M on the running kernel's command line"
    whole = sum(plan.initrds)
    if whole and _loads(plan.with_initrd(0), document):
        # What fits in steps of 1 MiB; less than that is no initrd to speak of.
        fits, too_large = 0, -(-whole // _MIB)
        while too_large - fits > 1:
            middle = (fits + too_large) // 2
            if _loads(plan.with_initrd(middle * _MIB), document):
                fits = middle
            else:
                too_large = middle
        if fits:
            return f"an initrd of at most {size_text(fits * _MIB)}, {size_text(whole - fits * _MIB)} less"
        return "no initrd"
    return None


def _loads(plan: Plan, document: Document) -> bool:
    try:
        answer = Checker(plan).machine(document)
    except WarmbootError:
        return False
    return isinstance(answer, MachineAnswer) and answer.loads


def _reservation(plan: Plan, document: Document) -> int | None:
    """The least MiB of a reservation with which the crash image loads on that machine."""
    checker = Checker(plan)
    try:
        facts = without(Facts.from_json(document.text))
    except InputError:
        return None

    def enough(size: int) -> bool:
        try:
            return checker.facts(with_crash_kernel(facts, [parse_crashkernel(f"{size}M")]), "").loads
        except WarmbootError:
            return False

    # Not by halves from the start: what is too large does not fit either.
    most = next((size for size in range(_STEP, _MOST_RESERVED + 1, _STEP) if enough(size)), None)
    return None if most is None else next(size for size in range(most - _STEP + 1, most + 1) if enough(size))
