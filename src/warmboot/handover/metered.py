"""Memory that is read a bounded number of times: whatever lists in it say, looking costs no more than its size allows.

Lists that share their ends, or a thousand files with the same content, are short to write and long to follow.
"""

from __future__ import annotations

from warmboot.handover.interface import PAGE_SIZE, HandoverError, PhysicalMemory
from warmboot.memmap.range_set import RangeSet

__all__ = ["Metered"]

_EACH = 4  # times that each page may be read
_LEAST = 1 << 17


class Metered:
    """The memory, for so many reads, each of up to so many bytes in all."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        self.ranges: RangeSet = memory.ranges
        self._left = _LEAST + _EACH * (sum(map(len, memory.ranges.runs())) // PAGE_SIZE)

    def physical(self, address: int, size: int) -> bytes:
        """As PhysicalMemory says; HandoverError, too, once all reads are used up."""
        self._left -= 1 + size // PAGE_SIZE
        if self._left < 0:
            raise HandoverError(
                f"at {address:#x}: lists were followed for longer than this memory allows",
                hint="it was written over, or made to be so",
            )
        return self._memory.physical(address, size)
