"""What the companion says over the second serial port, strictly read: the kernels under test may say anything there."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmboot.memmap import Range
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["Heard", "Memory"]

_KIB = 1024
_MOST_SAMPLES = 1 << 20
_SHOWN = 100  # characters of a release
_NAMES = 200  # of /proc/meminfo


@dataclass(slots=True)
class Memory:
    """A capture kernel's memory in bytes: at the start of its user space by the names of /proc/meminfo, then its
    smallest amounts free and available."""

    at_start: dict[str, int] = field(default_factory=dict)
    total: int = 0
    least_free: int | None = None
    least_available: int | None = None
    samples: int = 0


@dataclass(slots=True)
class Heard:
    """All that was said so far, None for what was not. Times are those of time.monotonic()."""

    release: str | None = None
    processors: int = 1
    up_at: float = 0.0
    reserved: list[Range] = field(default_factory=list)
    holder: int = 0  # the process with the pattern
    errno: int | None = None
    loaded: bool | None = None
    symbols: dict[str, int] = field(default_factory=dict)  # virtual addresses of functions
    waits: bool = False  # for the word to crash
    crash_at: float | None = None
    crash_process: int = 0
    capture_release: str | None = None
    captured_at: float | None = None
    memory: Memory = field(default_factory=Memory)
    vmcore: int | None = None
    disk: str | None = None
    saved: int | None = None
    saved_at: float | None = None

    def line(self, text: str, when: float) -> None:
        """Take one line; what no companion says is passed over."""
        match text.strip().split(" "):
            case ["@", "up", release, processors]:
                self.release, self.up_at = visible(release, most=_SHOWN), when
                self.processors = number(processors, least=1, most=1 << 16) or 1
            case ["@", "reserved", where]:
                start, _, end = where.partition("-")
                first, last = number(start, 16), number(end, 16)
                if first is not None and last is not None and first <= last and len(self.reserved) < 8:
                    self.reserved.append(Range(first, last + 1))
            case ["@", "process", process]:
                self.holder = number(process, most=1 << 30) or 0
            case ["@", "loaded", errno, state]:
                self.errno, self.loaded = number(errno, most=255), state == "1"
            case ["@", "symbol", name, address]:
                value = number(address, 16)
                if value and len(self.symbols) < 16:
                    self.symbols[visible(name, most=_SHOWN)] = value
            case ["@", "waits"]:
                self.waits = True
            case ["@", "crash", process]:
                self.crash_at, self.crash_process = when, number(process, most=1 << 30) or 0
            case _:
                self._of_capture(text, when)

    def _of_capture(self, text: str, when: float) -> None:
        match text.strip().split(" "):
            case ["@", "captured", release]:
                self.capture_release, self.captured_at = visible(release, most=_SHOWN), when
            case ["@", "meminfo", name, size]:
                value = number(size, most=1 << 50)
                if value is not None and len(self.memory.at_start) < _NAMES:
                    self.memory.at_start[visible(name, most=_SHOWN)] = value * _KIB
            case ["@", "memory", *sizes] if len(sizes) == 3:
                values = [number(each, most=1 << 50) for each in sizes]
                self._sample(*(None if each is None else each * _KIB for each in values))
            case ["@", "vmcore", size]:
                self.vmcore = number(size)
            case ["@", "disk", name]:
                self.disk = None if name == "-" else visible(name, most=_SHOWN)
            case ["@", "saved", status]:
                self.saved, self.saved_at = number(status, most=255), when

    def _sample(self, total: int | None, free: int | None, available: int | None) -> None:
        memory = self.memory
        if total is None or free is None or available is None or memory.samples >= _MOST_SAMPLES:
            return
        memory.samples += 1
        memory.total = total
        memory.least_free = free if memory.least_free is None else min(free, memory.least_free)
        memory.least_available = available if memory.least_available is None else min(available, memory.least_available)
