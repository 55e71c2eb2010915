"""A roll as the journal has it, as one answer."""

from __future__ import annotations

from collections import Counter

from warmboot.errors import ExitStatus, RefusedError
from warmboot.roll.answers import RollAnswer, RollMachine
from warmboot.roll.journal import Journal
from warmboot.roll.states import GOOD

__all__ = ["summary"]

_BROKEN_OFF = "broken off"
_RESUME = "'warmboot roll resume' looks at each machine and goes on"


def summary(journal: Journal, number: int | None, *, at_work: bool = False) -> RollAnswer:
    """That roll, or the newest. `at_work` is whether this process holds the lock. Raises InputError."""
    kept = journal.roll(number)
    machines = journal.machines(kept.id)
    states = Counter(each.state for each in machines)
    state, verdict, hint = kept.state, kept.verdict, kept.hint
    if state == "under way" and not at_work and _is_free(journal):
        state, hint = _BROKEN_OFF, _RESUME
    switched = sum(states[each] for each in GOOD)
    verdict = verdict or f"{state}: {switched} of {len(machines)} run {kept.release or 'the new kernel'}"
    return RollAnswer(
        roll=kept.id,
        state=state,
        kernel=kept.settings.kernel,
        release=kept.release,
        began=kept.began,
        ended=kept.ended,
        states=dict(states),
        batches=_batches(machines),
        rehearsals=journal.rehearsals(kept.id),
        machines=machines,
        verdict=verdict,
        hint=hint,
        exit_status=int(ExitStatus.DONE if switched == len(machines) else ExitStatus.REFUSED),
    )


def _batches(machines: tuple[RollMachine, ...]) -> tuple[tuple[str, ...], ...]:
    numbers = sorted({each.batch for each in machines if each.batch is not None})
    return tuple(tuple(each.name for each in machines if each.batch == number) for number in numbers)


def _is_free(journal: Journal) -> bool:
    try:
        with journal.at_work():
            return True
    except RefusedError:
        return False
