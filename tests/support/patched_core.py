"""A dump whose physical memory has other bytes in places."""

from __future__ import annotations

from warmboot.dump.source import Source
from warmboot.dump.translated import read_virtual
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.memmap.range_set import RangeSet

__all__ = ["PatchedCore"]


class PatchedCore:
    """Memory of `whole`, with `patches` by physical addresses; `vmcoreinfo` may be another."""

    def __init__(self, whole: Source, patches: dict[int, bytes], vmcoreinfo: Vmcoreinfo | None = None) -> None:
        self.whole, self.patches = whole, patches
        self.machine: str = whole.machine
        self.ranges: RangeSet = whole.ranges
        self.vmcoreinfo: Vmcoreinfo = vmcoreinfo or whole.vmcoreinfo

    def physical(self, address: int, size: int) -> bytes:
        data = bytearray(self.whole.physical(address, size))
        for at, patch in self.patches.items():
            start, stop = max(at, address), min(at + len(patch), address + size)
            if start < stop:
                data[start - address : stop - address] = patch[start - at : stop - at]
        return bytes(data)

    def virtual(self, address: int, size: int) -> bytes:
        return read_virtual(self, "patched", address, size)
