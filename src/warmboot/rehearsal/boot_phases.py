"""Where the seconds of a boot go, by the lines of its console: each line begins a phase, and ends the one before."""

from __future__ import annotations

import re

from warmboot.figures import PhaseFigures
from warmboot.timing.phases import BEGINS

__all__ = ["BootPhases"]

# What the purgatory says on the serial port where it is asked to, and what follows it.
_PURGATORY = (
    ("purgatory", re.compile(r"warmboot: checking what was loaded")),
    ("unpacking", re.compile(r"warmboot: entering the new kernel")),
)
_BEGINS = (*_PURGATORY, *BEGINS)
# Relocation, purgatory, and the kernel's decompression: nothing is on the console; of that only the relocation
# where the purgatory speaks.
_FIRST, _RELOCATION = "dark", "relocation"


class BootPhases:
    """Takes lines as they come; phases that a kernel says nothing of are missing, their time is in the one before."""

    def __init__(self) -> None:
        self._began: list[tuple[str, float]] = []
        self._left = list(_BEGINS)

    def look_at(self, text: str, when: float) -> None:
        """A whole line, and when it came, in seconds of time.monotonic()."""
        for number, (name, pattern) in enumerate(self._left):
            if pattern.search(text):
                self._began.append((name, when))
                del self._left[: number + 1]
                return

    def figures(self, began: float, ended: float) -> tuple[PhaseFigures, ...]:
        """The phases from `began`, the hand-over, to `ended`."""
        spoke = any(name == each for name, _ in self._began for each, _ in _PURGATORY)
        starts = [(_RELOCATION if spoke else _FIRST, began), *self._began]
        ends = [*(when for _, when in self._began), ended]
        return tuple(PhaseFigures(name, max(0.0, end - start)) for (name, start), end in zip(starts, ends, strict=True))
