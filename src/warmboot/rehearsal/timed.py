"""A rehearsal for its times: where each second goes from the jump to user space, as QEMU executes it."""

from __future__ import annotations

import time
from dataclasses import replace

from warmboot.figures import BootFigures, HandOverFigures, PhaseFigures
from warmboot.kernel import Rule
from warmboot.numbers import size_text
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.stages import Observer, Outcome, Result, Silent, Stage
from warmboot.timing.figures import BootTime, TimeFigures, TimePart
from warmboot.timing.phases import WHAT, silences, stamped

__all__ = ["rehearse_timed"]

_SILENT = Silent()
_BEFORE = {
    "dark": "pages are put in place, what was loaded is checked, the kernel unpacks itself",
    "relocation": "pages are put in place",
    "unpacking": "the kernel unpacks itself, until its first line",
}
_MIB = 1 << 20


class _Lines:
    """An observer that keeps the kernel's lines with the kernel's own times, and hands all on."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.found: list[tuple[float, str]] = []

    def begins(self, name: str) -> None:
        self._observer.begins(name)

    def progress(self, name: str, done: int, total: int) -> None:
        self._observer.progress(name, done, total)

    def check(self, rule: Rule) -> None:
        self._observer.check(rule)

    def console(self, text: str) -> None:
        found = stamped(text)
        if found is not None:
            self.found.append(found)
        self._observer.console(text)

    def ends(self, stage: Stage) -> None:
        self._observer.ends(stage)


def rehearse_timed(options: Options, observer: Observer = _SILENT) -> Result:
    """Rehearse, and where it boots add a stage "time" with TimeFigures. Raises InputError for unusable input."""
    lines = _Lines(observer)
    result = rehearse(replace(options, timed=True), lines)
    try:
        boot = result.figures(BootFigures)
    except LookupError:
        return result
    if result.stages[-1].outcome is not Outcome.PASSED:
        return result
    observer.begins("time")
    parts = tuple(TimePart(each.name, each.seconds, _what(each, result)) for each in boot.phases)
    notes = (
        f"as {boot.machine} runs it: a real processor needs a fraction, and its devices need their own time",
        f"the last part ends where {boot.reached} was reached",
    )
    this = BootTime("", "rehearsal", boot.release or "", time.time(), boot.seconds, parts, notes)
    stage = Stage("time", figures=TimeFigures(this, silences=silences(lines.found, float("inf"))))
    result.stages.append(stage)
    observer.ends(stage)
    return result


def _what(phase: PhaseFigures, result: Result) -> str:
    if phase.name != "purgatory":
        return _BEFORE.get(phase.name) or WHAT[phase.name]
    digest = next(each.figures for each in result.stages if isinstance(each.figures, HandOverFigures))
    each_mib = phase.seconds / max(digest.digest_bytes, 1) * _MIB * 1000
    return f"{digest.digest_algorithm} over {size_text(digest.digest_bytes)}: {each_mib:.2f} ms for each MiB"
