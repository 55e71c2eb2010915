"""What is asked of a rehearsed crash."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from warmboot.records import dataclass

__all__ = ["CrashBy", "CrashOptions", "Way"]


class Way(StrEnum):
    """Where the crash is rehearsed."""

    GUEST = "guest"
    MODEL = "model"


class CrashBy(StrEnum):
    """What the first kernel dies of, in a guest."""

    SYSRQ = "sysrq"
    NULL = "null"
    WATCHDOG = "watchdog"
    NMI = "nmi"


@dataclass(frozen=True, slots=True)
class CrashOptions:
    """What to crash, and what shall take the dump. Sizes are bytes, times seconds.

    `capture` is the kernel that takes the dump, None for the same one; without `capture_initrds` a small one of ours
    saves it. `firmware` is EFI firmware, None for legacy firmware. `save` is where the dump goes, None for nowhere.
    """

    kernel: Path
    initrds: Sequence[Path] = ()
    append: str = ""
    crashkernel: str = "256M"
    capture: Path | None = None
    capture_initrds: Sequence[Path] = ()
    capture_append: str = ""
    memory: int = 1 << 30
    cpus: int = 2
    by: CrashBy = CrashBy.SYSRQ
    until: str | None = None
    firmware: Path | None = None
    save: Path | None = None
    console: Path | None = None
    timeout: float = 300.0

    @property
    def captured_by(self) -> Path:
        """The kernel that takes the dump."""
        return self.capture or self.kernel
