"""The kernel's map of its memory: for each section of physical memory, where its struct pages are (mm/sparse.c).

SPARSEMEM_EXTREME: `mem_section` is an array of pointers to pages of struct mem_section, whose section_mem_map is the
virtual address of struct page number 0, with flags in its low bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError, Memory

if TYPE_CHECKING:
    from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["MemoryMap", "memory_map"]

_HAS_MEM_MAP, _IS_ONLINE = 1 << 1, 1 << 2  # include/linux/mmzone.h; online: 4.13
_FLAGS = 0xFFF  # what may be flags: an array of struct page begins at a page
_U64 = (1 << 64) - 1


class MemoryMap:
    """Sections and their struct pages. Frames are numbers of pages of `page_size` bytes."""

    def __init__(self, memory: Memory, page_size: int, section_bits: int, root: int, roots: int, entry: int) -> None:
        self._memory, self._root, self._roots, self._entry = memory, root, roots, entry
        self.page_size: int = page_size
        self.section_pages: int = (1 << section_bits) // page_size
        self._per_root = max(1, page_size // entry)
        self._cached: tuple[int, bytes] = (-1, b"")

    def struct_pages(self, section: int, size: int) -> int | None:
        """The virtual address of the struct pages (`size` bytes each) of a section; None where there are none."""
        root, index = divmod(section, self._per_root)
        if root >= self._roots:
            return None
        if root != self._cached[0]:
            self._cached = (root, self._read_root(root))
        entries = self._cached[1]
        if not entries:
            return None
        coded = int.from_bytes(entries[index * self._entry :][:8], "little")
        if not coded & _HAS_MEM_MAP or not coded & _IS_ONLINE:
            return None
        return (coded & ~_FLAGS) + section * self.section_pages * size & _U64

    def _read_root(self, root: int) -> bytes:
        try:
            address = int.from_bytes(self._memory.virtual(self._root + root * 8, 8), "little")
            return self._memory.virtual(address, self._per_root * self._entry) if address else b""
        except DumpError:
            return b""


def memory_map(memory: Memory, info: Vmcoreinfo) -> MemoryMap | None:
    """The map, or None where VMCOREINFO does not say where it is."""
    root, roots = info.symbol("mem_section"), info.length("mem_section")
    entry, bits = info.size("mem_section"), info.number("SECTION_SIZE_BITS")
    page_size = info.page_size
    if not root or not roots or not entry or not bits or not page_size:
        return None
    if not 8 <= entry <= 256 or not 20 <= bits <= 30 or page_size.bit_count() != 1 or not 4096 <= page_size <= 65536:
        return None
    return MemoryMap(memory, page_size, bits, root, roots, entry)
