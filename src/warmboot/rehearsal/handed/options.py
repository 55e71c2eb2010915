"""What is asked of a rehearsed handover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HandedOptions"]


@dataclass(frozen=True, slots=True)
class HandedOptions:
    """`kernel` takes over what `first` preserves, None for the same kernel. Sizes are bytes, times seconds.

    `script` is a program that runs in both: it is called with the word preserve, and then with retrieve. `initrds` are
    unpacked over a small Debian with a shell and Python. `console` is where both consoles are written to.
    `timeout` is for each step.
    """

    kernel: Path
    script: Path
    first: Path | None = None
    initrds: Sequence[Path] = ()
    append: str = ""
    memory: int = 1 << 30
    cpus: int = 2
    console: Path | None = None
    timeout: float = 300.0

    @property
    def first_kernel(self) -> Path:
        """The kernel that preserves."""
        return self.first or self.kernel
