"""The figures of a switch to another kernel: sizes in bytes, times in seconds, moments in nanoseconds since 1970."""

from __future__ import annotations

from warmboot.records import dataclass

__all__ = [
    "AnySwitchFigures",
    "ArrivedFile",
    "KeepFigures",
    "KeptFile",
    "SwitchCheckFigures",
    "SwitchHeld",
    "SwitchJumpFigures",
    "SwitchReport",
    "SwitchStep",
    "TellFigures",
]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that a service has handed over: `unit` is the systemd unit of the process `pid`, "" is not known."""

    name: str
    size: int
    uid: int
    pid: int
    unit: str


@dataclass(frozen=True, slots=True)
class SwitchHeld:
    """All that services have handed over."""

    held: tuple[KeptFile, ...]


@dataclass(frozen=True, slots=True)
class SwitchCheckFigures:
    """What was found before anything was done.

    `handover` says whether files are kept; if not, `why_cold` says why. `held` is all that services have handed over.
    `notes` are in words.
    """

    release: str
    kernel: str
    handover: bool
    why_cold: str
    held: tuple[KeptFile, ...]
    hooks: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeepFigures:
    """The files that are in sessions now, or with --dry-run would be (`done` is false), and their bytes."""

    files: tuple[str, ...]
    bytes: int
    done: bool = True


@dataclass(frozen=True, slots=True)
class TellFigures:
    """Hooks that ran, and how many services were told and answered."""

    hooks: tuple[str, ...]
    services: int


@dataclass(frozen=True, slots=True)
class SwitchJumpFigures:
    """How the jump is made: by the command `by`, or by reboot(2)."""

    by: str


@dataclass(frozen=True, slots=True)
class SwitchStep:
    """A step before the jump: when it began and how long it took."""

    name: str
    began: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ArrivedFile:
    """A file of the switch: `size` bytes arrived, or it was lost for the reason `lost`.

    `retrieved` is when its service took it, null if it has not. `down` are the seconds from the last answer to a client
    before the jump to the first one after it, as the service told; null is not told.
    """

    name: str
    size: int
    lost: str
    retrieved: int | None
    down: float | None


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """The last switch. `id` is "" where this kernel was not started by one.

    `jump` is when the jump began, null where nothing was handed over that says so; `gap` are the seconds from then
    until the agent here had taken over. Linux's clock is set anew in between, to the second; the processor's counter
    tells more where it can be read. `gap` and the files' `down` are exact to `error` seconds. `problem` says why
    nothing arrived.
    """

    id: str
    before: str
    now: str
    kernel: str
    steps: tuple[SwitchStep, ...]
    jump: int | None
    gap: float | None
    error: float
    taking_over: float
    files: tuple[ArrivedFile, ...]
    problem: str
    verdict: str


AnySwitchFigures = SwitchCheckFigures | KeepFigures | TellFigures | SwitchJumpFigures
