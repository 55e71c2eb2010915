"""All machines of a fleet: who checks them, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from warmboot.errors import ExitStatus
from warmboot.fleet.answers import Document, FleetAnswer, MachineAnswer, Problem
from warmboot.fleet.documents import chunks
from warmboot.fleet.groups import Tally
from warmboot.fleet.plan import Plan
from warmboot.fleet.workers import DiedError

__all__ = ["Answers", "Found", "Runner", "check"]

Found = list[Document | Problem]
Answers = list[MachineAnswer | Problem]


class Runner(Protocol):
    """Whoever checks chunks: processes of this computer, or a cluster."""

    def __call__(self, plan: Plan, chunks: Iterable[Found]) -> Iterator[tuple[Found, Answers | DiedError]]:
        """The answers for each chunk."""
        ...


def check(
    plan: Plan,
    found: Iterable[Document | Problem],
    runner: Runner,
    *,
    each: Callable[[MachineAnswer], None],
    progress: Callable[[int], None],
) -> FleetAnswer:
    """Check all that is found. `each` gets every machine's answer, `progress` how many there were.

    Raises InputError or RefusedError where the image itself cannot be used.
    """
    image, tally = plan.image, Tally()
    for given, made in runner(plan, chunks(found)):
        answers = [_died(one) for one in given] if isinstance(made, DiedError) else made
        tally.died += len(given) if isinstance(made, DiedError) else 0
        for document, answer in zip(given, answers, strict=True):
            tally.add(document, answer)
            if isinstance(answer, MachineAnswer):
                each(answer)
        progress(tally.machines + tally.unusable)
    refuses = tally.machines - tally.loads
    return FleetAnswer(
        kernel=image.name,
        version=image.version,
        machines=tally.machines,
        loads=tally.loads,
        refuses=refuses,
        unusable=tally.unusable,
        groups=tally.groups(plan),
        notes=dict(tally.notes),
        problems=tuple(f"{one.source}: {one.message}" for one in tally.problems),
        verdict=_verdict(tally.machines, refuses, tally.unusable),
        exit_status=int(_status(tally, refuses)),
        risks=tally.risks(),
    )


def _died(document: Document | Problem) -> MachineAnswer | Problem:
    if isinstance(document, Problem):
        return document
    return Problem(document.source, "every worker that had it died", "free memory, or leave these facts out")


def _status(tally: Tally, refuses: int) -> ExitStatus:
    if tally.died:
        return ExitStatus.NOT_TRIED
    if tally.unusable or not tally.machines:
        return ExitStatus.USAGE
    return ExitStatus.REFUSED if refuses else ExitStatus.DONE


def _verdict(machines: int, refuses: int, unusable: int) -> str:
    if not machines:
        return "no machine's facts could be used"
    verdict = f"{refuses:,} of {machines:,} refuse" if refuses else f"it would load on all {machines:,}"
    return f"{verdict}; the facts of {unusable:,} more cannot be used" if unusable else verdict
