"""What is said of a roll, of each machine, and of each of its steps."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RollAnswer", "RollMachine", "RollRehearsal", "RollStep"]


@dataclass(frozen=True, slots=True)
class RollStep:
    """A step of a machine: its outcome is ok, failed, unreachable, or noted. `at` is seconds since 1970."""

    step: str
    outcome: str
    at: float
    seconds: float | None
    said: str


@dataclass(frozen=True, slots=True)
class RollMachine:
    """A machine: its state, the releases before and after, how the kernel that runs now was started (kexec or firmware,
    null where it is not known), and its downtime in seconds, from the command to jump until it answered. `batch` counts
    from 1, the canaries'; null where it was not reached."""

    name: str
    state: str
    batch: int | None
    before: str
    after: str
    how: str | None
    loaded_by: str
    downtime: float | None
    reason: str
    hint: str
    steps: tuple[RollStep, ...]


@dataclass(frozen=True, slots=True)
class RollRehearsal:
    """The new kernel started on a machine like `machine`, which runs `release`, in QEMU."""

    release: str
    machine: str
    passed: bool
    seconds: float
    verdict: str


@dataclass(frozen=True, slots=True)
class RollAnswer:
    """A roll. Its state is planned, under way, stopped or done; `states` counts machines; times are seconds since 1970.

    With --dry-run `roll` is null, and `batches` are the machines that would be switched together; otherwise it has
    those that were.
    """

    roll: int | None
    state: str
    kernel: str
    release: str
    began: float
    ended: float | None
    states: dict[str, int]
    batches: tuple[tuple[str, ...], ...]
    rehearsals: tuple[RollRehearsal, ...]
    machines: tuple[RollMachine, ...]
    verdict: str
    hint: str
    exit_status: int
