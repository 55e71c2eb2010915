"""Memory without contents, for replaying: who compares return values and states never looks at a byte."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from warmboot.kernel.memory import Frames, PhysicalMemory
from warmboot.uapi import Source

__all__ = ["Ledger"]


class Ledger(PhysicalMemory):
    """Physical memory that forgets all that is written; it reads as zeros."""

    def __init__(self) -> None:
        super().__init__([])

    def read(self, address: int, size: int) -> bytes:
        """Zeros."""
        return bytes(size)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Forget it."""

    def write_words(self, address: int, words: npt.NDArray[np.uint64]) -> None:
        """Forget them."""

    def clear(self, address: int, size: int) -> None:
        """Nothing was there."""

    def copy_from(
        self, address: int, source: Source, offset: int, size: int, progress: Callable[[int], None] | None = None
    ) -> None:
        """Forget it."""

    def copy_pages_from(self, frames: Frames, source: Source, offset: int, size: int) -> None:
        """Forget them."""

    def clear_pages(self, frames: Frames) -> None:
        """Nothing was there."""

    def copy_pages(self, targets: Frames, sources: Frames) -> None:
        """Nothing was there."""

    def scatter_words(self, addresses: npt.NDArray[np.int64], words: npt.NDArray[np.int64]) -> None:
        """Forget them."""
