"""The journal of a switch: its steps with their times, in memory that is handed over, up to the jump itself.

Lines of text, as the next kernel's agent passes them on: `step NAME BEGAN ENDED`, in nanoseconds of CLOCK_REALTIME;
`clock NANOSECONDS TICKS`, what the processor's counter showed at a moment; `id`, `from`, `to`. The file has its whole
size from the start, since a preserved file cannot grow.
"""

from __future__ import annotations

import os
import time

from warmboot.closing import Closing
from warmboot.live.counter import read_counter
from warmboot.numbers import number
from warmboot.switching.manifest import LARGEST
from warmboot.visible import visible

__all__ = ["Journal", "Step", "clock_line", "clocks_of", "steps_of", "words_of"]

_MOST = 64  # steps


class Step:
    """A step that began and ended, in nanoseconds of CLOCK_REALTIME."""

    __slots__ = ("began", "ended", "name")

    def __init__(self, name: str, began: int, ended: int) -> None:
        self.name: str = name
        self.began: int = began
        self.ended: int = ended


class Journal(Closing):
    """The journal of the switch that is under way; `fd` is its memfd."""

    def __init__(self, id: str, to: str) -> None:  # noqa: A002 - its name everywhere
        self.id: str = id
        self.fd: int = os.memfd_create("warmboot-journal", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, LARGEST)
        self._lines = [f"id {id}", f"from {os.uname().release}", f"to {visible(to, most=500)}"]
        self.clock()
        self._write()

    def step(self, name: str, began: int, ended: int | None = None) -> None:
        """Add a step; it ended now where that is not given."""
        self._lines.append(f"step {name} {began} {time.time_ns() if ended is None else ended}")
        self._write()

    def clock(self) -> None:
        """Note what the processor's counter shows now."""
        line = clock_line()
        if line:
            self._lines.append(line)
            self._write()

    def text(self) -> str:
        """Everything so far."""
        return "\n".join([*self._lines, ""])

    def close(self) -> None:
        """Let go of the memory."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _write(self) -> None:
        os.pwrite(self.fd, self.text().encode()[: LARGEST - 1] + b"\0", 0)


def clock_line() -> str:
    """What the processor's counter shows now, "" where it cannot be read."""
    ticks = read_counter()
    return "" if ticks is None else f"clock {time.time_ns()} {ticks}"


def clocks_of(text: str) -> list[tuple[int, int]]:
    """The moments and the ticks in a journal."""
    found: list[tuple[int, int]] = []
    for line in text.split("\n"):
        match line.split(" "):
            case ["clock", when, ticks] if len(found) < _MOST:
                moment, count = number(when, most=1 << 63), number(ticks)
                if moment is not None and count is not None:
                    found.append((moment, count))
    return found


def steps_of(text: str) -> list[Step]:
    """The steps in a journal, which may be a stranger's: what is none is left out."""
    steps: list[Step] = []
    for line in text.split("\n"):
        match line.split(" "):
            case ["step", name, began, ended] if len(steps) < _MOST:
                first, last = number(began, most=1 << 63), number(ended, most=1 << 63)
                if first is not None and last is not None:
                    steps.append(Step(name, first, last))
    return steps


def words_of(text: str, word: str) -> str:
    """What follows `word` on the first line that begins with it."""
    for line in text.split("\n"):
        first, _, rest = line.partition(" ")
        if first == word:
            return rest
    return ""
