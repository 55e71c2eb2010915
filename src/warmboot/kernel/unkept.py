"""Memory that keeps nothing: for what a kernel would do with an image, where nobody will look at the bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warmboot.kernel.memory import Bank, PhysicalMemory
from warmboot.memmap import Range, merge
from warmboot.uapi import Source

__all__ = ["UnkeptMemory"]


class UnkeptMemory(PhysicalMemory):
    """Physical memory of which only the banks are known: it costs neither a mapping nor a file. Nothing is read."""

    def __init__(self, banks: Sequence[Range]) -> None:
        self.fd: int = -1
        self.banks: list[Bank] = [Bank(each, 0, None) for each in merge(banks)]  # type: ignore[arg-type]  # no bytes, no view

    def close(self) -> None:
        """There is nothing to give back."""

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Forget it."""

    def clear(self, address: int, size: int) -> None:
        """Forget it."""

    def copy(self, target: int, source: int, size: int) -> None:
        """Forget it."""

    def copy_from(
        self,
        address: int,
        source: Source,
        offset: int,
        size: int,
        zeros: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Forget it."""
