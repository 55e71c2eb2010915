"""Following a boot on its console: until user space, a text that is waited for, a panic, or the time is up."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable

from warmboot.figures import BootFigures
from warmboot.machines.console import ConsoleLine
from warmboot.machines.qemu import QemuMachine
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["BootWatch", "plain"]

_USER_SPACE = re.compile(r"Run (?P<program>/\S+) as init process")
_RELEASE = re.compile(r"Linux version (\S+)")
_ACPI = re.compile(r"ACPI: RSDP 0x")
_CPUS = re.compile(r"Brought up \d+ nodes?, (\d+) CPUs?")
_KERNEL_LINE = re.compile(r"\s*\[ *\d+\.\d+\]")
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_PURGATORY = re.compile(r"warmboot purgatory: .*")
# What a kernel says of an init or an initrd that it cannot use, before it tries another or panics (init/main.c,
# init/initramfs.c).
_COMPLAINT = re.compile(
    r"Failed to execute \S+ \(error -\d+\)"
    r"|Starting init: \S+ exists but couldn't execute it \(error -\d+\)"
    r"|check access for rdinit=\S+ failed: -\d+"
    r"|Initramfs unpacking failed: .*"
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_RESTART = re.compile(r"reboot: Restarting system")
_MOST_PROCESSORS = 8192  # CONFIG_NR_CPUS of x86

# What helps, where the kernel has said such a thing: it knows more than the panic that follows.
_COMPLAINT_HINTS = [
    (
        re.compile(r"check access for rdinit="),
        "the initrd has no such program: correct rdinit= on the command line, or leave it out (/init is started)",
    ),
    (re.compile(r"Initramfs unpacking failed"), "the initrd is damaged, cut off, or packed in a way this kernel lacks"),
    (re.compile(r"\(error -2\)"), "the program, or the interpreter that it names, is not in the initrd"),
    (re.compile(r"\(error -(8|13)\)"), "the program is for another architecture, or may not be executed"),
]

_SETTLE = 3.0  # seconds in which a started init that is silent must not fail before it counts
_LINGER = 0.3  # seconds in which an init that has spoken must not bring the kernel down before it counts
_LAST_WORDS = 0.5  # seconds in which a kernel that panicked may still say something
_LAST_LINES = 60  # of the console, kept for the figures of a boot that failed

# Hints for a panic, by what it says; the last one is for all others.
_PANICS = [
    (re.compile(r"Attempted to kill init"), "the first program ended: look at its last words on the console"),
    (re.compile(r"[Oo]ut of memory|deadlocked on memory"), "give the machine more memory by --memory"),
    (re.compile(r"root fs|No working init|[Ii]nit \S+ failed"), "give an --initrd, or root= or init= by --append"),
    (re.compile(""), "look at the whole console by --console FILE"),
]


def plain(text: str) -> str:
    """A console's text without the colours and cursor movements in it; other control characters are made visible."""
    return visible(_ESCAPE.sub("", text).replace("\r", ""), keep_tab=True)


class BootWatch:
    """Reads a console and decides. After `run`, `passed` tells whether the boot came as far as was asked."""

    def __init__(self, machine: QemuMachine, *, until: str | None = None) -> None:
        self._machine = machine
        self._until = until
        self._last_line = ""
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._complaint = ""
        self._timestamps = False  # whether this kernel's lines begin with the time, which tells them from others
        self._started_at: float | None = None  # when an init was started
        self._spoke_at: float | None = None  # when the first line came that is not the kernel's, after that
        self._decided = False
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
            over = time.monotonic() >= self._patience(deadline)
            if not self._decided and (line is None or over):
                self._no_more(gone=not over)
        if not self.passed:
            for line in self._machine.lines(_LAST_WORDS):
                if line.complete:
                    self._last_lines.append(plain(line.text))
                    show(plain(line.text))

    def _patience(self, deadline: float) -> float:
        """Until when a line is waited for."""
        if self._until is not None or self._started_at is None:
            return deadline
        if self._spoke_at is not None:
            return min(deadline, self._spoke_at + _LINGER)
        return min(deadline, self._started_at + _SETTLE)

    def _look_at(self, line: ConsoleLine, show: Callable[[str], None]) -> None:
        text = plain(line.text)
        if line.complete:
            self._last_lines.append(text)
            show(text)
        if text.strip():
            self._last_line = visible(text.strip(), most=200)
        if self._until is not None and self._until in text:
            self._passes(f"{self._until!r} on the console", line.time)
        elif line.complete:
            self._note(text)
            self._judge(text, line.time)

    def _note(self, text: str) -> None:
        """Keep what a line tells of the booting kernel."""
        release, cpus, complaint = _RELEASE.search(text), _CPUS.search(text), _COMPLAINT.search(text)
        if release is not None and self._release is None:
            self._release = release[1]
        if cpus is not None:
            self._processors = number(cpus[1], most=_MOST_PROCESSORS)
        if _ACPI.search(text):
            self._acpi = True
        if complaint is not None and not self._complaint:
            self._complaint = complaint[0].strip()

    def _judge(self, text: str, when: float) -> None:
        panic, purgatory, started = _PANIC.search(text), _PURGATORY.search(text), _USER_SPACE.search(text)
        of_kernel = _KERNEL_LINE.match(text) is not None
        if panic is not None:
            hint = next(hint for pattern, hint in _PANICS if pattern.search(panic[0]))
            self._fails(panic[0].strip(), hint, when)
        elif purgatory is not None:
            self._fails(purgatory[0].strip(), "the image changed between loading and starting: load it again", when)
        elif self._started_at is not None and _RESTART.search(text) is not None:
            self._restarts(when)
        elif started is not None:
            self._timestamps = of_kernel
            self._started_at, self._spoke_at = when, None  # one that was started before has failed
            self._init = started["program"]
        elif self._started_at is not None and _COMPLAINT.search(text) is not None:
            self._started_at = None
        elif self._started_at is not None and self._timestamps and not of_kernel and text.strip():
            self._spoke_at = self._spoke_at or when
            self._first_words = self._first_words or text.strip()

    def _no_more(self, *, gone: bool) -> None:
        """Nothing more is waited for: the guest is gone, or it had its time."""
        now = time.monotonic()
        if self._started_at is not None and self._until is None:
            outcome = self._machine.outcome(_SETTLE) if gone else None
            if outcome is not None and outcome.reason == "guest-reset":
                self._restarts(now)
            else:
                self._passes("user space", self._started_at)
            return
        waited_for = f"{self._until!r}" if self._until is not None else "user space"
        last = f"last on the console: {self._last_line or 'nothing'}"
        if not gone:
            self.out_of_time = True
            self._fails(
                f"no {waited_for} in time; {last}",
                "allow more by --timeout, or look at the whole console by --console FILE",
                now,
            )
            return
        outcome = self._machine.outcome(_SETTLE)
        how = {"guest-reset": "reset itself", "guest-shutdown": "powered off"}.get(
            outcome.reason if outcome else "", "ended"
        )
        self._fails(
            f"the machine {how} before {waited_for}; {last}",
            "a reset without a message is a triple fault: try earlyprintk=ttyS0 on the command line"
            if how == "reset itself"
            else "look at the whole console by --console FILE",
            now,
        )

    def _restarts(self, when: float) -> None:
        """The first program was started, and restarts the machine: nobody calls that booted."""
        after = when - (self._started_at or when)
        self._fails(
            f"{self._init or 'init'} restarted the machine {after:.1f} s after it was started",
            "look at its last words on the console; an init that restarts has often not found its root file system",
            when,
        )

    def _passes(self, reached: str, when: float) -> None:
        self._decided, self.passed, self.ended = True, True, when
        self.reached = reached

    def _fails(self, problem: str, hint: str, when: float) -> None:
        if self._complaint:
            problem += f" (before it: {self._complaint})"
            hint = next((better for pattern, better in _COMPLAINT_HINTS if pattern.search(self._complaint)), hint)
        self._decided, self.problem, self.hint, self.ended = True, problem, hint, when
