"""The stages of a long command, each with its outcome and figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

from warmboot.errors import ExitStatus, WarmbootError
from warmboot.kernel.rules import KexecError, Rule

if TYPE_CHECKING:  # the figures of every command: each imports its own
    from warmboot.figures import Figures
    from warmboot.uapi import Segment

__all__ = ["Observer", "Outcome", "Refusal", "Result", "Silent", "Stage", "Stages"]

_F = TypeVar("_F", bound="Figures")


class Outcome(StrEnum):
    """How a stage ended."""

    PASSED = "passed"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the kernel answered: the errno's name, the rule, and the number of the segment that broke it, if one did."""

    errno: str
    rule: str
    segment: int | None


@dataclass(slots=True)
class Stage:
    """One stage. `figures` are what it found, as far as it went.

    `problem`, `hint` and `exit_status` say why it did not pass; None is for one that did.
    """

    name: str
    outcome: Outcome = Outcome.PASSED
    seconds: float = 0.0
    figures: Figures | None = None
    problem: str = ""
    hint: str = ""
    refusal: Refusal | None = None
    exit_status: ExitStatus | None = None


@dataclass(slots=True)
class Result:
    """The stages reached, and the verdict: one sentence."""

    stages: list[Stage] = field(default_factory=list)
    verdict: str = ""
    hint: str = ""
    exit_status: ExitStatus = ExitStatus.DONE

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, if it was reached."""
        return next((each for each in self.stages if each.name == name), None)

    def passes(self, stages: Iterable[Callable[[], None]]) -> bool:
        """Run them one after another, each adds its stage; False, with the verdict, at the first that did not pass."""
        for each in stages:
            each()
            if self.stages[-1].outcome is not Outcome.PASSED:
                self.stop(self.stages[-1])
                return False
        return True

    def stop(self, stage: Stage) -> None:
        """End with this stage, which did not pass."""
        self.verdict, self.hint = f"{stage.name} {stage.outcome}: {stage.problem}", stage.hint
        self.exit_status = ExitStatus.REFUSED if stage.exit_status is None else stage.exit_status

    def figures(self, kind: type[_F]) -> _F:
        """The figures of that type. Raises LookupError where no stage has them."""
        for each in self.stages:
            if isinstance(each.figures, kind):
                return each.figures
        raise LookupError(f"no stage has {kind.__name__}")


class Observer(Protocol):
    """Sees the stages as they happen."""

    def begins(self, name: str) -> None:
        """A stage begins."""

    def progress(self, name: str, done: int, total: int) -> None:
        """`done` of `total` bytes of a stage are done."""

    def check(self, rule: Rule) -> None:
        """The kernel made a check, and the request passed it."""

    def console(self, text: str) -> None:
        """A line of the booting kernel, in a rehearsal."""

    def ends(self, stage: Stage) -> None:
        """A stage ends."""


class Silent:
    """An observer that ignores everything: the result has it all."""

    def begins(self, name: str) -> None: ...
    def progress(self, name: str, done: int, total: int) -> None: ...
    def check(self, rule: Rule) -> None: ...
    def console(self, text: str) -> None: ...
    def ends(self, stage: Stage) -> None: ...


class Stages:
    """Runs stages, one at a time, and notifies the observer.

    `segments` are those of the request, once there is one: the kernel knows segments by number alone.
    """

    def __init__(self, result: Result, observer: Observer) -> None:
        self._result = result
        self._observer = observer
        self.segments: Sequence[Segment] = ()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A stage that ends with this block; a refusal in it is the stage's outcome. Wrong input is raised."""
        stage = Stage(name)
        self._observer.begins(name)
        began = time.monotonic()
        try:
            yield stage
        except WarmbootError as error:
            if error.exit_status is ExitStatus.USAGE:
                raise
            self.refuse(stage, error)
        stage.seconds = time.monotonic() - began
        self._result.stages.append(stage)
        self._observer.ends(stage)

    def refuse(self, stage: Stage, error: WarmbootError) -> None:
        """The stage ends with this refusal."""
        stage.outcome, stage.problem, stage.hint = Outcome.REFUSED, str(error), error.hint
        stage.exit_status = error.exit_status
        if isinstance(error, KexecError):
            stage.problem = error.told(self.segments)
            stage.refusal = Refusal(error.errno_name, error.rule.name, error.segment)
