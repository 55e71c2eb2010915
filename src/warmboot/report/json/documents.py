"""The answers of commands without stages: what --json prints besides schema and versions."""

from __future__ import annotations

from typing import Any

from warmboot.records import dataclass

__all__ = [
    "CachedFile",
    "CallCounts",
    "DebianAnswer",
    "DemoAnswer",
    "DemoDigest",
    "ErrorAnswer",
    "LayoutCounts",
    "ReadAnswer",
    "ReplayDisagreement",
    "StatusAnswer",
    "UnloadAnswer",
]


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Why a command has no answer of its own: `exit_status` is the process's, 130 where it was interrupted."""

    verdict: str
    hint: str
    exit_status: int


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """What is loaded on this computer. `crash_kernel` are physical ranges, the end excluded; null is not known."""

    release: str
    kexec_loaded: bool | None
    kexec_crash_loaded: bool | None
    kexec_crash_size: int | None
    crash_kernel: tuple[tuple[int, int], ...]
    kexec_load_disabled: int | None
    kexec_load_limit_reboot: int | None
    kexec_load_limit_panic: int | None
    lockdown: str | None


@dataclass(frozen=True, slots=True)
class UnloadAnswer:
    """What was unloaded, "image" or "crash image", and whether one was loaded before; null is not known."""

    what: str
    was_loaded: bool | None


@dataclass(frozen=True, slots=True)
class DemoDigest:
    """The SHA-256 of a segment as it was computed here; `mem` is physical."""

    segment: str
    mem: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DemoAnswer:
    """What the demo saw: instructions executed, pages allocated, the registers at the kernel's entry, its output."""

    verdict: str
    exit_status: int
    instructions: int | None
    pages: int
    registers: dict[str, int]
    digests: tuple[DemoDigest, ...]
    serial: str


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file from Debian's packages: a kernel by its series, or the guest's initrd."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class DebianAnswer:
    """The files that are in the cache now."""

    files: tuple[CachedFile, ...]


@dataclass(frozen=True, slots=True)
class ReplayDisagreement:
    """A call that the model answers differently.

    `recorded` is the trace's line, `model` the model's answer; `rule` and `reason` say why the model refuses.
    """

    line: int
    recorded: dict[str, Any]
    model: dict[str, Any]
    rule: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class CallCounts:
    """The last line: how many calls were compared."""

    calls: int
    agree: int
    disagree: int


@dataclass(frozen=True, slots=True)
class LayoutCounts:
    """The last line: how many layouts were compared."""

    layouts: int
    agree: int
    disagree: int


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """Bytes of the memory in a dump, from `address` on; `data` is hexadecimal."""

    address: int
    physical: bool
    size: int
    data: str
