"""Which machines come next: the canaries first, until as many have switched; then batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warmboot.roll.settings import Settings, batch_size
from warmboot.roll.states import State

__all__ = ["next_batch", "planned"]


def next_batch(settings: Settings, states: Mapping[str, State]) -> list[str]:
    """The machines to switch next, of those that wait, in the inventory's order; none where no machine waits.

    Raises InputError for a batch that is no number.
    """
    waiting = [name for name, state in states.items() if state is State.WAITING]
    size = batch_size(settings.batch, len(states))
    proven = sum(state is State.SWITCHED for state in states.values())
    if proven < settings.canary:
        size = settings.canary - proven
    return waiting[:size]


def planned(settings: Settings, machines: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """All batches, if nothing goes wrong."""
    states = dict.fromkeys(machines, State.WAITING)
    batches = []
    while batch := next_batch(settings, states):
        batches.append(tuple(batch))
        states |= dict.fromkeys(batch, State.SWITCHED)
    return tuple(batches)
