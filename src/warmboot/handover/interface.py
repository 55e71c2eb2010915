"""What the readers of a handover stand on: a machine's physical memory, wherever it is seen from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from warmboot.errors import WarmbootError

if TYPE_CHECKING:
    from warmboot.memmap.range_set import RangeSet

__all__ = ["PAGE_SHIFT", "PAGE_SIZE", "HandoverError", "PhysicalMemory", "u64"]

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT  # bytes; the machines that hand over here have pages of 4 KiB


class HandoverError(WarmbootError):
    """A structure of the handover that cannot be read: the message names its address and what was expected there."""


class PhysicalMemory(Protocol):
    """A machine's physical memory: a dump, a raw file, /proc/kcore. Addresses and sizes are in bytes."""

    @property
    def ranges(self) -> RangeSet:
        """The physical addresses whose bytes can be read."""

    def physical(self, address: int, size: int) -> bytes:
        """`size` bytes at a physical address. Raises WarmbootError where not all of them can be read."""


def u64(data: bytes | memoryview, at: int = 0) -> int:
    """A number of 64 bits as the kernel has it in memory: little-endian on the machines that hand over."""
    return int.from_bytes(data[at : at + 8], "little")
