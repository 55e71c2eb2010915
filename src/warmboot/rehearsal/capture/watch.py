"""Following a crash from the outside: two serial ports, one after the other two kernels."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from warmboot.machines.console import ConsoleLine
from warmboot.rehearsal.capture.told import Heard
from warmboot.rehearsal.kernel_words import KernelWords, plain
from warmboot.visible import visible

__all__ = ["DEATH", "CrashWatch", "Watched"]

_POLL = 0.03  # seconds between looks at one port and the other
_LAST_LINES = 60
_SHOWN = 200  # characters of a line in a message
_SETTLE = 3.0  # seconds in which a first program of the user's must not bring the kernel down before it counts
# What a kernel says when it dies, the first of them is the reason (kernel/panic.c, arch/x86/mm/fault.c,
# kernel/watchdog.c, arch/x86/kernel/nmi.c).
DEATH = re.compile(
    r"(?:BUG: (?:kernel NULL pointer|unable to handle|soft lockup)|Oops: |watchdog: BUG|NMI: (?:Not continuing|IOCK)"
    r"|Kernel panic - not syncing: |INFO: task .* blocked).*"
)
_TIME = re.compile(r"^\s*\[ *\d+\.\d+\]")
_NO_MEMORY = re.compile(
    r"Out of memory|System is deadlocked on memory|Initramfs unpacking failed: (?:write error|out of memory)"
    r"|page allocation failure|invoked oom-killer|Cannot allocate"
)
# Linux 6.8 and later name it "crashkernel reserved: ..."; before "Reserving 256MB of memory at ..."
_NOT_RESERVED = re.compile(r"crashkernel.*reservation failed|cannot allocate crashkernel|crashkernel: .*fail", re.I)


_EFI_TABLE = re.compile(r"=0x([0-9a-f]{4,16})\b")
_MOST_TABLES = 64


class Watched(Protocol):
    """The machine: both ports, and whether it is gone."""

    @property
    def ended(self) -> bool: ...
    def port_lines(self, timeout: float) -> Iterator[ConsoleLine]: ...
    def console_lines(self, timeout: float) -> Iterator[ConsoleLine]: ...


class CrashWatch:
    """Reads both ports until something is decided; `heard` is what the companion said.

    `crashed_already` where the machine begins with the jump: then everything is the capture kernel's.
    """

    def __init__(
        self,
        machine: Watched,
        show: Callable[[str], None],
        *,
        crashed_at: float | None = None,
        until: str | None = None,
    ) -> None:
        self._machine = machine
        self._show = show
        self._until = until
        self.heard: Heard = Heard(crash_at=crashed_at)
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self.death: str = ""  # the first kernel's words
        self.lost: str = ""  # the capture kernel's, where it dies
        self.no_memory: str = ""  # what it said of memory that it had not
        self.not_reserved: str = ""  # the first kernel's, on crashkernel=
        self.first_line_at: float | None = None  # of the capture kernel
        self.started_at: float | None = None  # the user's own program that captures
        self.reached_at: float | None = None  # the text that is waited for
        self.efi_tables: list[int] = []  # physical addresses that the capture kernel tells
        self._gone = False

    def follow(self, done: Callable[[], bool], deadline: float) -> bool:
        """Read until `done`, the machine's end or the deadline (time.monotonic()); whether it is done."""
        while not done():
            if self._gone or time.monotonic() >= deadline:
                return done()
            last = self._machine.ended
            seen = 0
            for line in self._machine.port_lines(_POLL):
                seen += 1
                if line.complete:
                    self.heard.line(plain(line.text), line.time)
            for line in self._machine.console_lines(_POLL):
                seen += 1
                self._look_at(line)
            self._gone = last and not seen
        return True

    @property
    def gone(self) -> bool:
        """Whether the machine has ended and everything was read."""
        return self._gone

    def settled(self) -> bool:
        """Whether a user's own program has run long enough to count as the capture kernel's user space."""
        at = self.heard.captured_at
        return at is not None and time.monotonic() >= at + _SETTLE

    def _look_at(self, line: ConsoleLine) -> None:
        text = plain(line.text)
        if self._until is not None and self.heard.captured_at is not None and self._until in text:
            self.reached_at = self.reached_at or line.time
        if not line.complete:
            return
        self.last_lines.append(visible(text, most=_SHOWN))
        self._show(text)
        words = KernelWords.of(text)
        crash_at = self.heard.crash_at
        # The console may be behind the second port, so the capture kernel is told by its own first words.
        if words.release is not None and crash_at is not None and line.time >= crash_at:
            self.first_line_at = self.first_line_at or line.time
        death = DEATH.search(text)
        if self.first_line_at is None:
            if death is not None and (not self.death or words.panic):
                self.death = visible(death[0].strip(), most=_SHOWN)
            if crash_at is None and _NOT_RESERVED.search(text):
                self.not_reserved = visible(text.strip(), most=_SHOWN)
            return
        if words.panic is not None or words.purgatory is not None:
            self.lost = self.lost or words.panic or words.purgatory or ""
        if "efi: " in text and len(self.efi_tables) < _MOST_TABLES:
            self.efi_tables += [int(each, 16) for each in _EFI_TABLE.findall(text)]
        if _NO_MEMORY.search(text):
            self.no_memory = self.no_memory or visible(_TIME.sub("", text).strip(), most=_SHOWN)
