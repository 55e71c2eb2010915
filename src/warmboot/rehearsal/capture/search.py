"""The smallest crashkernel= that works, found by trying: each try is a crash on the model with that reservation.

The first try that works tells how much was needed at its peak, so the next ones are close to the answer already.
"""

from __future__ import annotations

import time
from dataclasses import replace

from warmboot.crash_figures import CaptureFigures, NeedFigures, SearchFigures, TrialFigures
from warmboot.errors import ExitStatus, InputError, RefusedError
from warmboot.memmap import Facts
from warmboot.rehearsal.capture.model_way import crash_on_the_model
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.stages import Observer, Outcome, Result, Silent, Stages

__all__ = ["STEP", "find_crashkernel", "margin_for", "rehearse_crashkernel", "tried"]

STEP = 4 << 20  # bytes: to which the answer is exact
_MIB = 1 << 20
_FIRST = 256 << 20
_SAVED = 64 << 20  # bytes of the dump that are saved at each try: the need does not grow after that
_LEAST = 16 << 20
_PATIENCE = 30.0  # seconds that a try gets at least, once one has worked
_SLOWER = 5.0  # times what the one that worked took
_SHARE, _LEAST_MARGIN = 4, 32 << 20
_ROUNDED = 16 << 20
_WHY = (
    "a quarter, at least 32 MiB, rounded up to 16: for drivers of devices that QEMU does not have, a dump tool that"
    " compresses on more processors, and the next kernel"
)
_SILENT = Silent()


def rehearse_crashkernel(options: CrashOptions, observer: Observer = _SILENT, *, facts: Facts | None = None) -> Result:
    """Find it, as a result of one stage. Raises InputError."""
    result = Result()
    with Stages(result, observer).stage("search") as stage:
        found = find_crashkernel(options, observer, facts=facts)
        stage.figures = found
    last = result.stages[-1]
    if last.outcome is not Outcome.PASSED:
        result.stop(last)
        return result
    result.verdict = f"{found.smallest // _MIB} MiB are enough; with the margin: {found.crashkernel}"
    return result


def find_crashkernel(
    options: CrashOptions, observer: Observer = _SILENT, *, facts: Facts | None = None
) -> SearchFigures:
    """Try until the answer is known to STEP. Raises RefusedError where no reservation of this machine works."""
    search = _Search(options, observer, facts)
    high = search.upper()
    guess = high if search.need is None else min(high, _up(search.need.peak + STEP))
    low = 0
    if guess < high:
        if search.works(guess):
            high = guess
        else:
            low = guess
    stride = 2 * STEP
    while not low and high - stride > _LEAST:
        if search.works(high - stride):
            high -= stride
            stride *= 2
        else:
            low = high - stride
    low = low or _LEAST
    while high - low > STEP:
        middle = _up((low + high) // 2)
        if search.works(middle):
            high = middle
        else:
            low = middle
    margin = margin_for(high)
    return SearchFigures(
        smallest=high,
        step=STEP,
        margin=margin,
        why_margin=_WHY,
        crashkernel=f"crashkernel={(high + margin) // _MIB}M",
        need=search.need,
        trials=tuple(search.trials),
    )


def margin_for(smallest: int) -> int:
    """Bytes to be added: a quarter or 32 MiB, and what makes the sum a multiple of 16 MiB."""
    total = smallest + max(smallest // _SHARE, _LEAST_MARGIN)
    return -(-total // _ROUNDED) * _ROUNDED - smallest


def tried(options: CrashOptions, size: int, *, timeout: float, facts: Facts | None = None) -> Result:
    """A crash on the model with `size` bytes reserved."""
    asked = replace(options, crashkernel=f"{size >> 10}K", timeout=timeout, save=None, console=None)
    return crash_on_the_model(asked, facts=facts, limit=_SAVED)


def _up(size: int) -> int:
    return -(-size // STEP) * STEP


class _Search:
    """The tries so far; `need` is that of the smallest one that worked."""

    def __init__(self, options: CrashOptions, observer: Observer, facts: Facts | None) -> None:
        self._options, self._observer, self._facts = options, observer, facts
        self._timeout = options.timeout
        self._known: dict[int, bool] = {}
        self.trials: list[TrialFigures] = []
        self.need: NeedFigures | None = None

    def upper(self) -> int:
        """A reservation that works. Raises RefusedError."""
        size = _FIRST
        while True:
            try:
                if self.works(size):
                    return size
            except InputError as error:  # the machine has not so much
                last = self.trials[-1].problem if self.trials else str(error)
                raise RefusedError(
                    f"no reservation that this machine can have is enough: {last}",
                    hint="give the machine more --memory, or the capture kernel a smaller initrd",
                ) from None
            size *= 2

    def works(self, size: int) -> bool:
        """Whether a capture kernel saves its dump with so many bytes reserved."""
        if size not in self._known:
            self._known[size] = self._try(size)
        return self._known[size]

    def _try(self, size: int) -> bool:
        began = time.monotonic()
        result = tried(self._options, size, timeout=self._timeout, facts=self._facts)
        seconds = time.monotonic() - began
        if result.exit_status is ExitStatus.NOT_TRIED:
            raise RefusedError(result.verdict, hint=result.hint)
        works = result.exit_status is ExitStatus.DONE
        problem = "" if works else result.stages[-1].problem
        self.trials.append(TrialFigures(size, works, seconds, problem))
        self._observer.console(f"{size / _MIB:g} MiB: {'works' if works else problem}")
        if works:
            self._timeout = min(self._timeout, max(_PATIENCE, _SLOWER * seconds))
            self.need = result.figures(CaptureFigures).need or self.need
        return works
