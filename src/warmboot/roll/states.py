"""How far a machine is, and what the events of a batch say about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from warmboot.roll.events import Event

__all__ = ["GOOD", "OPEN", "Course", "State", "after_a_break"]


class State(StrEnum):
    """How far a machine is."""

    WAITING = "waiting"  # nothing was done to it
    UNDER_WAY = "under way"
    SWITCHED = "switched"  # it runs the new kernel and is healthy
    ALREADY = "already there"  # it ran that release before
    REFUSED = "refused"  # the check says that it would not load
    UNREACHABLE = "unreachable"  # and nothing was started there
    FAILED = "failed"
    UNHEALTHY = "unhealthy"  # it runs the new kernel
    FELL_BACK = "fell back"  # its firmware has started it
    LOST = "lost"  # it does not answer


GOOD = frozenset({State.SWITCHED, State.ALREADY})
OPEN = frozenset({State.WAITING, State.UNDER_WAY})
_SELF = "look at its console; 'warmboot roll resume --retry MACHINE' tries it again"


@dataclass(slots=True)
class Course:
    """What one machine goes through in one batch; `jumped` is whether the new kernel was started before."""

    jumped: bool = False
    state: State = State.UNDER_WAY
    reason: str = ""
    hint: str = ""
    after: str = ""  # the release it came back on
    how: str | None = None  # kexec or firmware
    boot_id: str = ""
    loaded_by: str = ""
    downtime: float | None = None  # seconds from the command to start the kernel until the machine answered
    _failed: set[str] = field(default_factory=set)

    def heed(self, event: Event) -> None:
        """An event of this machine."""
        told = event.told
        if event.kind == "unreachable":
            self._unreachable(event)
        elif event.kind in ("ok", "failed"):
            if event.step in ("jump", "wait") and told.boot_id:
                self.after, self.how, self.boot_id = told.release, told.how, told.boot_id
            if event.kind == "failed":
                self._failed.add(event.step)
                self._fail(event)
            elif event.step == "load":
                self.loaded_by = told.by
            elif event.step == "jump":
                self.jumped, self.downtime = True, told.seconds
            elif event.step == "wait":
                self.state = State.FELL_BACK
                self.downtime = None if told.seconds is None else (self.downtime or 0.0) + told.seconds
                self.reason = f"{self.reason}; the fallback command brought it back on {told.release}"

    def conclude(self) -> None:
        """All events were heard: a machine of which none was bad has switched."""
        if self.state is State.UNDER_WAY and self.jumped and not self._failed:
            self.state = State.SWITCHED

    def _fail(self, event: Event) -> None:
        told, step = event.told, event.step
        if step == "stop":  # says that something else failed
            return
        if step == "jump":
            self.reason, self.hint = event.message or "the new kernel did not come back", _SELF
            self.state = State.LOST if told.lost else State.FELL_BACK if told.boot_id else State.FAILED
            self.downtime = None if told.stayed else told.seconds
        elif step in ("fallback", "wait"):
            self.state = State.LOST
            self.reason = f"{self.reason}; {'the fallback command failed' if step == 'fallback' else 'nor after that'}"
            self.reason += f": {event.message}" if event.message else ""
        elif step == "health":
            self.state, self.reason = State.UNHEALTHY, f"the health check failed: {event.message}"
            self.hint = "it runs the new kernel; mend it, then 'warmboot roll resume --retry MACHINE' checks it again"
        elif step == "health after fallback":
            self.reason += f"; there its health check failed: {event.message}"
        else:
            self.state, self.reason = State.FAILED, f"{step}: {event.message}"
            self.hint = (
                "it runs the new kernel" if step == "after" else "it runs the old kernel, and nothing was started"
            )

    def _unreachable(self, event: Event) -> None:
        self.reason = f"{event.step}: {event.message or 'it cannot be reached'}"
        gone = self.jumped or event.step in ("jump", "wait", "fallback", "health after fallback")
        self.state = State.LOST if gone else State.UNREACHABLE
        self.hint = "it must answer Ansible: ansible MACHINE -m ping"


def after_a_break(journalled: str, wanted: str, now: tuple[str, str, str | None]) -> State | None:
    """What became of a machine on which work was broken off: the boot id that was journalled before the jump, the
    release that was wanted, and the boot id, release and start of now.

    UNDER_WAY: it has jumped, and is to be looked after; WAITING: it has not rebooted, and is begun anew; FELL_BACK: it
    has rebooted into something else.
    """
    boot_id, release, how = now
    if boot_id == journalled:
        return State.WAITING
    there = how == "kexec" or (how is None and release == wanted)
    return State.UNDER_WAY if there and (not wanted or release == wanted) else State.FELL_BACK
