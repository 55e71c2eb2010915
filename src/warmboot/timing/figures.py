"""Where the seconds of boots went; all times in seconds."""

from __future__ import annotations

from warmboot.records import dataclass

__all__ = ["BootTime", "Silence", "TimeFigures", "TimePart"]


@dataclass(frozen=True, slots=True)
class TimePart:
    """A part of a boot, and what it is."""

    name: str
    seconds: float
    what: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which the kernel logged nothing: `at` its own time, after the line `after`."""

    seconds: float
    at: float
    after: str


@dataclass(frozen=True, slots=True)
class BootTime:
    """One boot. `how` is "kexec", "firmware" or "rehearsal"; `started` is Unix time, 0 where it is not known.

    `parts` follow one another, `seconds` are all of them. `notes` say what is missing, or how sure the times are.
    """

    boot_id: str
    how: str
    release: str
    started: float
    seconds: float
    parts: tuple[TimePart, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeFigures:
    """This boot, or the one that was rehearsed; the kexec before it, and the newest start by firmware, if known.

    `silences` are the longest times without a line of the kernel, the longest first.
    """

    this: BootTime
    last: BootTime | None = None
    firmware: BootTime | None = None
    silences: tuple[Silence, ...] = ()
