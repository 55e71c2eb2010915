"""Preserved vmalloc areas: a chain of pages that list the physical addresses of the area's pages, in order.

struct kho_vmalloc and struct kho_vmalloc_chunk of include/linux/kho/abi/kexec_handover.h (6.18 and later).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.handover.interface import PAGE_SHIFT, PAGE_SIZE, HandoverError, PhysicalMemory, u64

__all__ = ["SIZE", "Vmalloc", "read_vmalloc"]

SIZE = 16  # bytes of struct kho_vmalloc
_FLAGS = 3  # KHO_VMALLOC_ALLOC, KHO_VMALLOC_HUGE_VMAP
_LARGEST_ORDER = 18


@dataclass(frozen=True, slots=True)
class Vmalloc:
    """`first` is the physical address of the first chunk; the area has `pages` pages, in blocks of 2**`order`."""

    first: int
    pages: int
    flags: int
    order: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.pages << PAGE_SHIFT

    def chunks(self, memory: PhysicalMemory) -> Iterator[tuple[int, list[int]]]:
        """Each chunk's physical address, and the physical addresses of the blocks that it lists.

        Raises WarmbootError where the chain is damaged: it goes in a circle, or has too many blocks or too few.
        """
        left = -(-self.pages // (1 << self.order))
        at, seen = self.first, set[int]()
        while at:
            if at % PAGE_SIZE or at in seen:
                raise self._damaged(f"a new page of addresses was expected at {at:#x}")
            seen.add(at)
            page = memory.physical(at, PAGE_SIZE)
            blocks = []
            for each in memoryview(page).cast("Q")[1:].tolist():
                if not each:
                    break
                if each % (PAGE_SIZE << self.order):
                    raise self._damaged(f"the page at {at:#x} lists {each:#x}, which is no block of it")
                blocks.append(each)
            left -= len(blocks)
            if left < 0:
                raise self._damaged(f"there are more than {self.pages} pages in it")
            yield at, blocks
            at = u64(page)
        if left:
            raise self._damaged(f"{left << self.order} of {self.pages} pages are missing")

    def content(self, memory: PhysicalMemory) -> Iterator[tuple[int, bytes]]:
        """Its pages, in order: physical address and bytes. Raises WarmbootError."""
        left = self.pages
        for _, blocks in self.chunks(memory):
            for block in blocks:
                for number in range(min(left, 1 << self.order)):
                    address = block + (number << PAGE_SHIFT)
                    yield address, memory.physical(address, PAGE_SIZE)
                left -= min(left, 1 << self.order)

    def _damaged(self, what: str) -> HandoverError:
        return HandoverError(f"the preserved area that begins at {self.first:#x}: {what}", hint="it was written over")


def read_vmalloc(data: bytes | memoryview) -> Vmalloc | None:
    """struct kho_vmalloc; None where it cannot be one."""
    first = u64(data)
    pages, flags, order = (int.from_bytes(data[at : at + size], "little") for at, size in ((8, 4), (12, 2), (14, 2)))
    if len(data) < SIZE or first % PAGE_SIZE or not first or not pages or flags & ~_FLAGS or order > _LARGEST_ORDER:
        return None
    return Vmalloc(first, pages, flags, order)
