"""A kernel's memory whose bytes are an input."""

from __future__ import annotations

from warmboot.dump.interface import DumpError
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.memmap.range_set import RangeSet

__all__ = ["BASE", "KernelImage"]

BASE = (1 << 64) - (1 << 16)  # virtual: nothing is beyond what the input has


class KernelImage:
    """Bytes from BASE on."""

    machine: str = "x86_64"
    ranges: RangeSet = RangeSet()

    def __init__(self, data: bytes, vmcoreinfo: Vmcoreinfo) -> None:
        self._data = data
        self.vmcoreinfo: Vmcoreinfo = vmcoreinfo

    def physical(self, address: int, size: int) -> bytes:
        raise DumpError(f"{size} bytes at {address:#x}", hint="none")

    def virtual(self, address: int, size: int) -> bytes:
        at = address - BASE
        if at < 0 or at + size > len(self._data):
            raise DumpError(f"{size} bytes at {address:#x}", hint="none")
        return self._data[at : at + size]
