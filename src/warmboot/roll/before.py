"""What comes before the first machine is touched: asking all of them, checking each, and a rehearsal from each release.

Of a machine on which work was broken off it finds out how far that came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warmboot.roll.ansible import Ansible
from warmboot.roll.gate import Gate
from warmboot.roll.journal import Journal
from warmboot.roll.news import News
from warmboot.roll.settings import Settings
from warmboot.roll.states import GOOD, State, after_a_break
from warmboot.roll.survey import Seen, survey

__all__ = ["Before"]

_MOST_NAMED = 5  # machines in a verdict


class Before:
    """For one roll. `retry` are machines that failed and are tried again. `jumped` becomes those that are found to run
    the new kernel, and are only looked after; `gone` those that may have jumped and do not answer yet."""

    def __init__(
        self,
        journal: Journal,
        number: int,
        settings: Settings,
        release: str,
        ansible: Ansible,
        tell: Callable[[News], None],
    ) -> None:
        self._journal, self._number, self._settings, self._release = journal, number, settings, release
        self._ansible, self._tell = ansible, tell
        self._gate = Gate(settings)
        self.retry: set[str] = set()
        self.jumped: set[str] = set()
        self.gone: set[str] = set()
        self._left_out: list[str] = []

    def __call__(self, machines: Sequence[str]) -> str | None:
        """Survey, check and rehearse; why the roll does not go on, or None."""
        seen = self._survey(machines)
        return self._check(seen) or self._rehearse(seen)

    def _survey(self, machines: Sequence[str]) -> dict[str, Seen]:
        """Those that can be switched, or are to be looked after."""
        if not machines:
            return {}
        self._tell(News("", "survey", f"asking {_count(machines)} what runs there"))
        found: dict[str, Seen] = {}
        states, boots = self._journal.states(self._number), self._journal.boots(self._number)
        for each in survey(self._ansible, machines, self._settings.step_timeout):
            state = states[each.name]
            if not each.boot_id and state is State.UNDER_WAY and boots[each.name][0]:
                self.gone.add(each.name)
                found[each.name] = each
            elif not each.boot_id:
                self._leave_out(each.name, State.UNREACHABLE, each.problem, each.hint)
            elif self._stands(each, state, *boots[each.name]):
                found[each.name] = each
        return found

    def _stands(self, seen: Seen, state: State, boot_id: str, jumped: bool) -> bool:
        """Note where this machine stands, by what runs on it now; whether there is something to do."""
        name, now = seen.name, (seen.boot_id, seen.release, seen.how)
        if state is State.UNDER_WAY and boot_id:
            became = after_a_break(boot_id, self._release, now)
            if became is State.UNDER_WAY or (jumped and seen.boot_id != boot_id and seen.release == self._release):
                self.jumped.add(name)
                self._journal.set(self._number, name, after=seen.release, how=seen.how, jumped=1)
                self._journal.note(self._number, name, "found", "noted", None, f"it runs {seen.release}, by {seen.how}")
                return True
            if became is State.FELL_BACK and name not in self.retry:
                self._journal.set(self._number, name, after=seen.release, how=seen.how)
                self._leave_out(name, State.FELL_BACK, f"it was found on {seen.release}: the new kernel did not stay")
                return False
        if seen.release == self._release and not self._settings.again:
            self._journal.set(self._number, name, before=seen.release, after=seen.release, how=seen.how)
            self._set(name, State.ALREADY, f"it runs {seen.release} already")
            return False
        self._journal.set(
            self._number,
            name,
            state=State.WAITING,
            reason="",
            hint="",
            boot_id=seen.boot_id,
            before=seen.release,
            after="",
            how=None,
            jumped=0,
        )
        return True

    def _check(self, seen: dict[str, Seen]) -> str | None:
        """Ask the model of every machine; why nothing begins, or None."""
        loads = 0
        for name, each in seen.items():
            begun = name in self.jumped | self.gone
            refusal = None if begun else self._gate.refusal(each)
            if refusal is not None:
                self._leave_out(name, State.REFUSED, *refusal)
                continue
            loads += 1
            if not begun:
                self._journal.note(self._number, name, "check", "ok", None, f"it would load; {each.release} runs")
        if seen:
            self._tell(News("", "check", f"the kernel would load on {loads} of {len(seen)}", loads == len(seen)))
        if self._left_out and not self._settings.leave_out:
            states = self._journal.states(self._number)
            return ", ".join(f"{name} {states[name]}" for name in self._left_out[:_MOST_NAMED])
        return None

    def _rehearse(self, seen: dict[str, Seen]) -> str | None:
        """Start the new kernel in QEMU from each release that runs; why nothing begins, or None."""
        if not self._settings.rehearse:
            return None
        states = self._journal.states(self._number)
        known = {each.release for each in self._journal.rehearsals(self._number) if each.passed}
        waiting = [each for name, each in seen.items() if states[name] is State.WAITING]
        for release, each in self._gate.pairs(waiting):
            if release in known:
                continue
            self._tell(News("", "rehearse", f"{release} -> {self._release} on a machine like {each.name}"))
            done = self._gate.rehearse(each)
            self._journal.note_rehearsal(self._number, done)
            self._tell(News("", "rehearse", f"{done.verdict} ({done.seconds:.1f} s)", done.passed))
            if not done.passed:
                return f"the rehearsal from {release} failed: {done.verdict}"
        return None

    def _leave_out(self, name: str, state: State, reason: str, hint: str = "") -> None:
        self._left_out.append(name)
        self._set(name, state, reason, hint)

    def _set(self, name: str, state: State, reason: str, hint: str = "") -> None:
        self._journal.set(self._number, name, state=state, reason=reason, hint=hint)
        self._journal.note(self._number, name, "survey", "noted", None, reason)
        self._tell(News(name, state, reason, state in GOOD))


def _count(machines: Sequence[str]) -> str:
    return f"{len(machines)} machine{'' if len(machines) == 1 else 's'}"
