"""A rehearsal: load a kernel on a machine like that one, hand over to it, and boot it, before a real one is risked."""

from __future__ import annotations

from contextlib import ExitStack

from warmboot.errors import ExitStatus
from warmboot.kernel.profile import choose
from warmboot.rehearsal.computer import Machines
from warmboot.rehearsal.given import Given
from warmboot.rehearsal.options import Options
from warmboot.stages import Observer, Outcome, Result, Silent, Stages

__all__ = ["rehearse"]

_SILENT = Silent()


def rehearse(options: Options, observer: Observer = _SILENT) -> Result:
    """Go through all stages, stopping at the first that does not pass. Raises InputError for unusable input."""
    result = Result()
    stages = Stages(result, observer)
    with ExitStack() as stack:
        choice = choose(options.facts, options.profile)
        given, machines = Given(options), Machines(options, choice.profile, stack)
        given.inspect(stages, found=machines.power_on)
        if _stopped(result):
            return result
        from warmboot.rehearsal.run import Run  # noqa: PLC0415 - QEMU starts meanwhile

        run = Run(options, observer, stages, given, machines, choice)
        loaded = [run.place, run.permit, run.load]
        for each in loaded if options.panic else [run.risks, *loaded, run.hand_over, run.boot]:
            each()
            if _stopped(result):
                return result
    _conclude(result, panic=options.panic)
    return result


def _stopped(result: Result) -> bool:
    """Whether the last stage ends it."""
    last = result.stages[-1]
    if last.outcome not in (Outcome.REFUSED, Outcome.FAILED):
        return False
    result.stop(last)
    return True


def _conclude(result: Result, *, panic: bool) -> None:
    last = result.stages[-1]
    if panic:
        result.verdict = "it loads, as the crash kernel; what a crash then starts is not rehearsed"
        return
    if last.outcome is Outcome.PASSED:
        from warmboot.figures import BootFigures  # noqa: PLC0415 - as above

        figures = result.figures(BootFigures)
        result.verdict = f"it loads, and it boots: {figures.reached} {figures.seconds:.1f} s after the hand-over"
        return
    result.verdict = f"it loads, and the new kernel's entry point is reached; boot not tried: {last.problem}"
    result.hint = last.hint
    if last.hint:  # it was asked for, and something is missing
        result.exit_status = ExitStatus.NOT_TRIED
