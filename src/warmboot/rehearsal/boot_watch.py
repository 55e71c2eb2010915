"""Following a boot on its console: until user space, a text that is waited for, a panic, or the time is up.

When is user space reached? The kernel says which program it starts as the first one, and nothing more. So that moment
counts once the program has written a line of its own, or has run for a while, and the kernel has not gone down. It does
not count where the program makes the machine restart at once, as initrds do that cannot go on, nor where it ends it
without a word.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from warmboot.figures import BootFigures
from warmboot.machines.console import ConsoleLine
from warmboot.machines.qmp import Ending
from warmboot.rehearsal.boot_phases import BootPhases
from warmboot.rehearsal.kernel_words import KernelWords, complaint_hint, plain
from warmboot.rehearsal.xen_words import XenPanic
from warmboot.visible import visible

__all__ = ["BootWatch", "Watched"]

_SETTLE = 3.0  # seconds in which a started init that is silent must not fail before it counts
_LINGER = 0.3  # seconds in which an init that has spoken must not bring the kernel down before it counts
_LAST_WORDS = 0.5  # seconds in which a kernel that panicked may still say something
_LAST_LINES = 60  # of the console, kept for the figures of a boot that failed
_LONGEST = 400  # characters of each that are kept
_SHOWN = 120  # characters of a line in a message

_BEFORE_ITS_OWN_TABLE = (
    "it came before the kernel had a table of its own: the kernel may need another processor, or be entered wrongly"
)
_LOOK = "look at the whole console by --console FILE"
_ENDED = {"guest-reset": "reset itself", "guest-shutdown": "powered off"}


class Watched(Protocol):
    """What is asked of the machine: its console, and how it ended."""

    def lines(self, timeout: float) -> Iterator[ConsoleLine]: ...
    def outcome(self, timeout: float) -> Ending | None: ...
    def console_notes(self) -> tuple[str, ...]: ...


class BootWatch:
    """Reads a console and decides. After `run`, `passed` tells whether the boot came as far as was asked.

    `initrd` is whether the kernel was given one, for the hint where it finds no init.
    """

    def __init__(self, machine: Watched, *, until: str | None = None, initrd: bool = False) -> None:
        self._machine = machine
        self._until = until
        self._initrd = initrd
        self._last_line = ""
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._complaint = ""
        self._rdinit = ""
        self._timestamps = False  # whether this kernel's lines begin with the time, which tells them from others
        self._started_at: float | None = None  # when an init was started
        self._spoke_at: float | None = None  # when the first line came that is not the kernel's, after that
        self._decided = False
        self._xen = XenPanic()
        self._phases = BootPhases()
        self.passed: bool = False
        self.out_of_time: bool = False
        self.problem: str = ""
        self.hint: str = ""
        self.ended: float = 0.0  # when it was decided, in seconds of time.monotonic()
        self.reached: str = ""
        self._release: str | None = None
        self._acpi = False
        self._processors: int | None = None
        self._init: str | None = None
        self._first_words: str | None = None

    def figures(self, machine: str, seconds: float) -> BootFigures:
        """What was seen; `machine` describes the computer, `seconds` are those since the hand-over."""
        return BootFigures(
            machine=machine,
            seconds=seconds,
            release=self._release,
            acpi=self._acpi,
            processors=self._processors,
            reached=self.reached,
            init=self._init,
            first_words=self._first_words,
            last_lines=() if self.passed else tuple(self._last_lines),
            notes=self._machine.console_notes(),
            phases=self._phases.figures(self.ended - seconds, self.ended),
        )

    def run(self, timeout: float, show: Callable[[str], None]) -> None:
        """Follow the console for up to `timeout` seconds; every complete line goes to `show`."""
        deadline = time.monotonic() + timeout
        while not self._decided:
            patience = self._patience(deadline)
            line = next(self._machine.lines(max(0.0, patience - time.monotonic())), None)
            if line is not None:
                self._look_at(line, show)
            # A console that never falls silent must not put off the end.
            now = time.monotonic()
            over = now >= self._patience(deadline)
            if not self._decided and (line is None or over):
                self._no_more(gone=not over, in_time=now < deadline)
        if not self.passed:
            for line in self._machine.lines(_LAST_WORDS):
                if line.complete:
                    self._show(plain(line.text), show)
            for note in self._machine.console_notes():
                show(f"[warmboot: {note}]")

    def _patience(self, deadline: float) -> float:
        """Until when a line is waited for."""
        if self._until is not None or self._started_at is None:
            return deadline
        if self._spoke_at is not None:
            return min(deadline, self._spoke_at + _LINGER)
        return min(deadline, self._started_at + _SETTLE)

    def _show(self, text: str, show: Callable[[str], None]) -> None:
        self._last_lines.append(text[:_LONGEST])
        show(text)

    def _look_at(self, line: ConsoleLine, show: Callable[[str], None]) -> None:
        text = plain(line.text)
        if line.complete:
            self._show(text, show)
            self._phases.look_at(text, line.time)
        if text.strip():
            self._last_line = visible(text.strip(), most=_SHOWN)
        if self._until is not None and self._until in text:
            self._passes(f"{self._until!r} on the console", line.time)
        elif line.complete and self._xen.look_at(text):
            self._fails(self._xen.said[:_LONGEST], self._xen.hint, line.time)
        elif line.complete:
            words = KernelWords.of(text)
            self._note(words)
            self._judge(words, line.time)

    def _note(self, words: KernelWords) -> None:
        """Keep what a line tells of the booting kernel."""
        self._release = self._release or words.release
        self._processors = words.processors or self._processors
        self._acpi = self._acpi or words.acpi
        self._rdinit = self._rdinit or words.rdinit or ""
        self._complaint = self._complaint or words.complaint or ""

    def _judge(self, words: KernelWords, when: float) -> None:
        if words.panic is not None:
            self._fails(words.panic, self._panic_hint(words.panic), when)
        elif words.purgatory is not None:
            self._fails(words.purgatory, "the image changed between loading and starting: load it again", when)
        elif words.exception is not None:
            self._fails(words.exception, _BEFORE_ITS_OWN_TABLE, when)
        elif words.init is not None:
            self._timestamps = words.timed
            self._started_at, self._spoke_at = when, None  # one that was started before has failed
            self._init = words.init
        elif self._started_at is not None:
            self._judge_init(words, self._started_at, when)

    def _judge_init(self, words: KernelWords, started_at: float, when: float) -> None:
        """A line after an init was started."""
        kernels = words.timed == self._timestamps
        if words.complaint is not None:
            self._started_at = None
        elif self._until is None and kernels and (words.restart or words.off):
            self._goes_down(started_at, when, restart=words.restart)
        elif self._timestamps and not words.timed and words.text:
            self._spoke_at = self._spoke_at or when
            self._first_words = self._first_words or words.text

    def _goes_down(self, started_at: float, when: float, *, restart: bool) -> None:
        """The first program has asked the kernel to end, before it counted as user space."""
        after = f"{max(0.0, when - started_at):.1f} s after it was started"
        if restart:
            said = f"; its last words: {self._last_words()}" if self._spoke_at is not None else ", without a word"
            self._fails(
                f"{self._init} restarted the machine {after}{said}",
                "look at its words on the console: an initrd that finds no root file system restarts, see root=",
                when,
            )
        elif self._spoke_at is None:
            self._fails(
                f"{self._init} ended the machine {after}, without a word",
                "let it print a line, and wait for that by --until TEXT",
                when,
            )
        else:
            self._passes("user space", started_at)

    def _last_words(self) -> str:
        """The last line that is not the kernel's."""
        words = map(KernelWords.of, reversed(self._last_lines))
        return next((each.text for each in words if each.text and not each.timed), "none")

    def _panic_hint(self, panic: str) -> str:
        if "Attempted to kill init" in panic:
            return "the first program ended: look at its last words on the console"
        if "deadlocked on memory" in panic or "ut of memory" in panic:
            return "give the machine more memory by --memory"
        if any(each in panic for each in ("root fs", "No working init", "Requested init")):
            if self._complaint:
                return complaint_hint(self._complaint)
            if "Requested init" in panic:
                return "init= in --append names a program that is not there, or cannot run"
            if self._initrd and self._rdinit:
                return f"the initrd has no {self._rdinit}: name one that it holds, or leave rdinit= out of --append"
            if self._initrd:
                return "the initrd holds no /init: look into it, or name its program by rdinit= in --append"
            return "give an --initrd, or root= or init= by --append"
        return _LOOK

    def _no_more(self, *, gone: bool, in_time: bool) -> None:
        """Nothing more is waited for: the guest is gone, or it had its time."""
        now = time.monotonic()
        started_at = self._started_at if self._until is None else None
        if not gone and started_at is not None and (in_time or self._spoke_at is not None):
            self._passes("user space", started_at)
            return
        waited_for = f"{self._until!r}" if self._until is not None else "user space"
        last = f"last on the console: {self._last_line or 'nothing'}"
        if not gone:
            self.out_of_time = True
            started = f", {self._init} was started {now - started_at:.1f} s ago" if started_at is not None else ""
            self._fails(f"no {waited_for} in time{started}; {last}", f"allow more by --timeout, or {_LOOK}", now)
            return
        outcome = self._machine.outcome(_SETTLE)
        reason = outcome.reason if outcome else ""
        if started_at is not None and reason in _ENDED:
            self._goes_down(started_at, now, restart=reason == "guest-reset")
            return
        how = _ENDED.get(reason, "ended")
        self._fails(
            f"the machine {how} before {waited_for}; {last}",
            "a reset without a message is a triple fault: try earlyprintk=ttyS0 on the command line"
            if how == "reset itself"
            else _LOOK,
            now,
        )

    def _passes(self, reached: str, when: float) -> None:
        self._decided, self.passed, self.ended = True, True, when
        self.reached = reached

    def _fails(self, problem: str, hint: str, when: float) -> None:
        if self._complaint:
            problem += f" (before it: {self._complaint})"
        self._decided, self.problem, self.hint, self.ended = True, problem, hint, when
