"""Following a boot on its console: until user space, a text that is waited for, a panic, or the time is up."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from warmboot.machines.console import ConsoleLine
from warmboot.machines.qemu import QemuMachine

__all__ = ["BootWatch"]

_USER_SPACE = re.compile(r"Run (?P<program>/\S+) as init process")
_RELEASE = re.compile(r"Linux version (\S+)")
_ACPI = re.compile(r"ACPI: RSDP 0x")
_CPUS = re.compile(r"Brought up \d+ nodes?, (\d+) CPUs?")
_KERNEL_LINE = re.compile(r"\[ *\d+\.\d+\]")
_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
_FAILED_INIT = re.compile(r"Failed to execute (\S+ \(error -\d+\))")
_PURGATORY = re.compile(r"warmboot purgatory: (.*)")
_SETTLE = 3.0  # seconds in which a started init must not fail before it counts
_LAST_WORDS = 0.5  # seconds in which a kernel that panicked may still say something


class BootWatch:
    """Reads a console and decides. After `run`, `passed` tells whether the boot came as far as was asked."""

    def __init__(self, machine: QemuMachine, *, until: str | None = None) -> None:
        self._machine = machine
        self._until = until
        self._last_line = ""
        self._user_space_at: float | None = None
        self._spoke = ""  # the first line that is not the kernel's, after init was started
        self.passed = False
        self.problem = ""
        self.hint = ""
        self.ended = 0.0  # when it was decided, in seconds of time.monotonic()
        self.figures: dict[str, Any] = {"release": None, "acpi": False, "processors": None, "reached": ""}

    def run(self, timeout: float, show: Callable[[str], None]) -> None:
        """Follow the console for up to `timeout` seconds; every complete line goes to `show`."""
        deadline = time.monotonic() + timeout
        decided = False
        while not decided:
            patience = deadline
            if self._user_space_at is not None and self._until is None:
                patience = min(deadline, self._user_space_at + _SETTLE)
            lines = self._machine.lines(max(0.0, patience - time.monotonic()))
            line = next(lines, None)
            if line is None:
                self._console_is_silent(time.monotonic() >= deadline)
                break
            if line.complete:
                show(line.text)
            decided = self._look_at(line)
        if self.problem and not self.passed:
            for line in self._machine.lines(_LAST_WORDS):
                if line.complete:
                    show(line.text)

    def _look_at(self, line: ConsoleLine) -> bool:
        """Whether this line decides."""
        text = line.text
        if text.strip():
            self._last_line = text.strip()
        self._note(text)
        if self._until is not None and self._until in text:
            return self._passes(f"{self._until!r} on the console", line.time)
        for pattern, hint in _FAILURES:
            match = pattern.search(text)
            if match is not None:
                return self._fails(match[0].strip(), hint, line.time)
        found = _USER_SPACE.search(text)
        if found is not None and self._user_space_at is None:
            self._user_space_at = line.time
            self.figures["init"] = found["program"]
        elif self._user_space_at is not None and text.strip() and not _KERNEL_LINE.match(text.strip()):
            self._spoke = self._spoke or text.strip()
            if self._until is None:
                return self._passes(f"user space, {self.figures['init']}: {self._spoke}", self._user_space_at)
        return False

    def _note(self, text: str) -> None:
        release, cpus = _RELEASE.search(text), _CPUS.search(text)
        if release is not None:
            self.figures["release"] = release[1]
        if cpus is not None:
            self.figures["processors"] = int(cpus[1])
        if _ACPI.search(text):
            self.figures["acpi"] = True

    def _console_is_silent(self, time_is_up: bool) -> None:
        """No line came: the guest is gone, init was given its time to fail, or time is up."""
        now = time.monotonic()
        if self._user_space_at is not None and self._until is None:
            self._passes(f"user space, {self.figures['init']}", self._user_space_at)
            return
        waited_for = f"{self._until!r}" if self._until is not None else "user space"
        if time_is_up:
            self._fails(
                f"no {waited_for} in time; last on the console: {self._last_line or 'nothing'}",
                "allow more by --timeout, or look at the whole console by --console FILE",
                now,
            )
            return
        outcome = self._machine.outcome(_SETTLE)
        how = {"guest-reset": "reset itself", "guest-shutdown": "powered off"}.get(
            outcome.reason if outcome else "", "ended"
        )
        self._fails(
            f"the machine {how} before {waited_for}; last on the console: {self._last_line or 'nothing'}",
            "a reset without a message is a triple fault: try earlyprintk=ttyS0 on the command line",
            now,
        )

    def _passes(self, reached: str, when: float) -> bool:
        self.passed, self.ended = True, when
        self.figures["reached"] = reached
        return True

    def _fails(self, problem: str, hint: str, when: float) -> bool:
        self.problem, self.hint, self.ended = problem, hint, when
        return True


_FAILURES = [
    (_PANIC, "the kernel's own message says what it lacks: an initrd, a root=, or an init"),
    (_FAILED_INIT, "the initrd's init cannot run: look at its format and its interpreter"),
    (_PURGATORY, "the image changed between loading and starting: load it again"),
]
