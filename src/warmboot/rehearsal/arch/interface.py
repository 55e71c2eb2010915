"""What a rehearsal asks of an architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from warmboot.kernel import CpuState
from warmboot.memmap import Range

__all__ = ["RehearsalArch"]


class RehearsalArch(Protocol):
    """One architecture's part."""

    @property
    def direct_map(self) -> int:
        """The virtual address of physical address 0, as without address randomization."""
        ...

    @property
    def kernel_text(self) -> tuple[int, Range]:
        """Where the running kernel's text is if the facts do not tell: virtual, and physical."""
        ...

    def demo_kernel(self, regions: Sequence[tuple[int, int]] = ()) -> bytes:
        """The demo kernel's file, which reports the SHA-256 of each of `regions`: (physical address, bytes)."""
        ...

    def relocated_to(self, state: CpuState) -> int:
        """The destination, physical, that the relocation code is at."""
        ...
