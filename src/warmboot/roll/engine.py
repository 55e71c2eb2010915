"""A roll from its beginning, or from where it stopped, to its end: survey, check, rehearse, then batch after batch.

The journal is ahead of every step that changes a machine: its boot id is there before it is touched, and each step's
result before the next begins. What a machine did while nobody kept the journal, its boot id tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from warmboot.errors import InputError
from warmboot.roll.ansible import Ansible
from warmboot.roll.batches import next_batch
from warmboot.roll.before import Before
from warmboot.roll.events import Event
from warmboot.roll.files import Files
from warmboot.roll.journal import Journal
from warmboot.roll.news import News
from warmboot.roll.settings import Settings
from warmboot.roll.states import GOOD, OPEN, Course, State
from warmboot.visible import visible

__all__ = ["Engine", "log_path"]

_STOPPED = "'warmboot roll report' has each machine; 'warmboot roll resume' goes on with those that wait"
_JOURNALLED = frozenset({"ok", "failed", "unreachable"})
_MOST_NAMED = 5  # machines in a verdict


def log_path(journal: Path, number: int) -> Path:
    """Where a roll keeps what Ansible prints."""
    return journal.with_name(f"{journal.name}.{number}.log")


class Engine:
    """Goes on with a roll of the journal, whose lock is held: `lock` is its descriptor."""

    def __init__(self, journal: Journal, number: int, files: Files, lock: int, tell: Callable[[News], None]) -> None:
        self._journal, self._number, self._files, self._tell = journal, number, files, tell
        kept = journal.roll(number)
        self._settings: Settings = kept.settings
        self._release = kept.release
        if kept.digests != files.digests:
            raise InputError(
                f"roll {number}: the kernel or the initrd is not the file that it was begun with",
                hint="put the old files back, or begin a new roll",
            )
        log = log_path(journal.path, number)
        self._ansible = Ansible(
            self._settings.inventory, log, become=self._settings.become, forks=self._settings.forks, held=[lock]
        )
        self._before = Before(journal, number, self._settings, kept.release, self._ansible, tell)

    def run(self, *, retry: Collection[str] = ()) -> None:
        """Go on until all machines are done or one fails. `retry` names machines that failed and are tried again."""
        self._journal.set_roll(self._number, "under way", "", ended=False)
        self._reopen(retry)
        states = self._journal.states(self._number)
        problem = self._before([name for name, state in states.items() if state in OPEN])
        while problem is None and (batch := self._next()):
            problem = self._switch(batch)
        self._end(problem)

    def plan(self) -> str | None:
        """Survey, check and rehearse; why the roll would not begin, or None."""
        return self._before(list(self._journal.states(self._number)))

    def _reopen(self, retry: Collection[str]) -> None:
        states = self._journal.states(self._number)
        for name in list(states) if "all" in retry else retry:
            if name not in states:
                raise InputError(f"'{visible(name, most=60)}' is no machine of roll {self._number}", hint="roll report")
            if states[name] not in GOOD | OPEN:
                # One that runs the new kernel is only looked after; that is told by its boot id.
                self._before.retry.add(name)
                self._journal.set(self._number, name, state=State.UNDER_WAY, reason="", hint="")
                self._journal.note(self._number, name, "retry", "noted", None, f"it {states[name]} before")

    def _next(self) -> list[str]:
        states = self._journal.states(self._number)
        begun = self._before.jumped | self._before.gone
        return [name for name in states if name in begun] or next_batch(self._settings, states)

    def _switch(self, batch: list[str]) -> str | None:
        """One batch; why the roll stops after it, or None."""
        settings, number = self._settings, self._number
        done = self._journal.batches(number)
        courses = {name: Course(jumped=name in self._before.jumped) for name in batch}
        begun = self._before.jumped | self._before.gone
        for name in batch:
            self._journal.set(number, name, state=State.UNDER_WAY)
            if name not in begun:
                self._journal.set(number, name, batch=done + 1)
        what = "what was begun" if begun.intersection(batch) else str(done + 1)
        self._tell(News("", "batch", f"{what}: {_names(batch, most=20)}"))
        for event in self._ansible.play("switch", batch, self._variables(batch)):
            course = courses.get(event.machine)
            if course is not None and (event.kind, event.step) == ("begin", "jump"):
                if not course.jumped:  # else it is begun to be skipped
                    self._journal.note(number, event.machine, "jump", "begun", None, "")
            elif course is not None and event.kind in _JOURNALLED:
                course.heed(event)
                self._keep(event, course)
        for name, course in courses.items():
            course.conclude()
            self._journal.set(number, name, state=course.state, reason=course.reason, hint=course.hint)
            good = course.state in GOOD
            how = f"runs {course.after or self._release}" + (f", {course.downtime:.1f} s" if course.downtime else "")
            self._tell(News(name, course.state, how if good else course.reason, good))
        self._before.jumped -= set(batch)
        self._before.gone -= set(batch)
        bad = [name for name, course in courses.items() if course.state not in GOOD]
        if not bad or (settings.leave_out and all(courses[name].state is State.UNREACHABLE for name in bad)):
            return None
        return "; ".join(f"{name} {courses[name].state}" for name in bad[:_MOST_NAMED])

    def _keep(self, event: Event, course: Course) -> None:
        """Into the journal, before Ansible hears that it was noted."""
        seconds = event.told.seconds
        if event.step != "stop":
            said = event.message or event.told.by or event.told.release or ""
            self._journal.note(self._number, event.machine, event.step, event.kind, seconds, said)
            took = "" if seconds is None else f"{seconds:.1f} s"
            text = ", ".join(filter(None, [said, took])) or event.kind
            self._tell(News(event.machine, event.step, text, event.kind == "ok" or None))
        self._journal.set(self._number, event.machine, jumped=int(course.jumped))
        if course.loaded_by:
            self._journal.set(self._number, event.machine, loaded_by=course.loaded_by)
        if course.downtime is not None:
            self._journal.set(self._number, event.machine, downtime=course.downtime)
        if course.after:
            self._journal.set(self._number, event.machine, after=course.after, how=course.how)

    def _variables(self, batch: list[str]) -> dict[str, object]:
        settings, boots = self._settings, self._journal.boots(self._number)
        return {
            "roll_jumped": [name for name in batch if name in self._before.jumped],
            "roll_gone": [name for name in batch if name in self._before.gone],
            "roll_boot_ids": {name: boots[name][0] for name in batch},
            "roll_kernel": self._files.kernel,
            "roll_kernel_sha256": self._files.kernel_sha256,
            "roll_initrd": self._files.initrd,
            "roll_initrd_sha256": self._files.initrd_sha256,
            "roll_command_line": settings.command_line or "",
            "roll_append": settings.append,
            "roll_call": settings.call,
            "roll_release": self._release,
            "roll_timeout": settings.timeout,
            "roll_fallback": settings.fallback,
            "roll_fallback_timeout": settings.fallback_timeout,
            "roll_health": settings.health,
            "roll_health_there": settings.health_there,
            "roll_health_within": settings.health_within,
            "roll_before": settings.before,
            "roll_after": settings.after,
            "roll_step_timeout": settings.step_timeout,
            "roll_copy_timeout": int(max(settings.step_timeout, 600)),
        }

    def _end(self, problem: str | None) -> None:
        states = self._journal.states(self._number)
        switched, left = (sum(each in kind for each in states.values()) for kind in (GOOD, OPEN))
        bad = len(states) - switched - left
        verdict = f"{switched} of {len(states)} run {self._release or 'the new kernel'}"
        if problem is not None:
            verdict = f"stopped: {problem}; {verdict}, {left} wait{'s' if left == 1 else ''} untouched"
        elif bad:
            verdict = f"{verdict}; {bad} do not"
        self._journal.set_roll(
            self._number,
            "done" if problem is None else "stopped",
            verdict,
            "" if problem is None else _STOPPED,
            ended=True,
        )
        self._tell(News("", "done" if problem is None else "stopped", verdict, problem is None and not bad))


def _names(machines: Sequence[str], most: int = _MOST_NAMED) -> str:
    more = f" and {len(machines) - most} more" if len(machines) > most else ""
    return f"{', '.join(visible(each, most=60) for each in machines[:most])}{more}"
