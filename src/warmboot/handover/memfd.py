"""A preserved memfd: struct memfd_luo_ser, and the list of its folios (mm/memfd_luo.c, include/linux/kho/abi/memfd.h).

Linux fills all holes of the file when it preserves it, so the list has the whole of it, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.handover.abi import MEMFD, MemfdVersion
from warmboot.handover.interface import PAGE_SHIFT, PAGE_SIZE, HandoverError, PhysicalMemory, u64
from warmboot.handover.vmalloc import SIZE, Vmalloc, read_vmalloc

__all__ = ["SEALS", "Memfd", "Piece", "is_memfd", "read_memfd", "seals_text"]

SEALS = ("seal", "shrink", "grow", "write", "future-write", "exec")  # F_SEAL_*, from bit 0 on (linux/fcntl.h)
_FOLIO = 16  # bytes of struct memfd_luo_folio_ser: 52 bits of frame, 12 of flags; the index
_PFN = (1 << 52) - 1
_LARGEST = 1 << 44  # bytes: memfd_luo_preserve refuses more than 2**32 pages
_LARGEST_FOLIO = 1 << 18  # pages


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` bytes of the file from `offset` on, which lie at physical address `address`."""

    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Memfd:
    """A memfd: `address` is the physical address of its struct memfd_luo_ser; sizes are in bytes."""

    address: int
    version: MemfdVersion
    position: int
    size: int
    seals: int
    flags: int
    folios: int
    list: Vmalloc | None

    def pieces(self, memory: PhysicalMemory) -> Iterator[Piece]:
        """Where the file's folios are, joined where they are in a row; whole pages, so the last may go beyond the size.

        Raises WarmbootError where the list is damaged or cannot be read.
        """
        joined: Piece | None = None
        for offset, address, size in self._folios(memory):
            if joined and joined.offset + joined.size == offset and joined.address + joined.size == address:
                joined = Piece(joined.offset, joined.address, joined.size + size)
                continue
            if joined:
                yield joined
            joined = Piece(offset, address, size)
        if joined:
            yield joined

    def _folios(self, memory: PhysicalMemory) -> Iterator[tuple[int, int, int]]:
        """Offset, physical address and size of each, which is told by where the next one begins."""
        end = -(-self.size // PAGE_SIZE)
        last: tuple[int, int] | None = None
        for index, frame in self._entries(memory):
            if last:
                yield self._folio(last, index)
            last = index, frame
        if last:
            yield self._folio(last, max(end, last[0] + 1))

    def _folio(self, folio: tuple[int, int], end: int) -> tuple[int, int, int]:
        index, frame = folio
        if not index < end or end - index > _LARGEST_FOLIO:
            raise self._damaged(f"page {end} of the file follows page {index}")
        return index << PAGE_SHIFT, frame << PAGE_SHIFT, (end - index) << PAGE_SHIFT

    def _entries(self, memory: PhysicalMemory) -> Iterator[tuple[int, int]]:
        left = self.folios
        if self.list is None:
            return
        for _, page in self.list.content(memory):
            words = memoryview(page).cast("Q").tolist()
            for at in range(0, min(left, PAGE_SIZE // _FOLIO) * 2, 2):
                frame = words[at] & _PFN
                if frame:  # Linux passes over those without
                    yield words[at + 1], frame
            left -= min(left, PAGE_SIZE // _FOLIO)
        if left:
            raise self._damaged(f"{left} of {self.folios} folios are missing from its list")

    def _damaged(self, what: str) -> HandoverError:
        return HandoverError(f"the memfd at {self.address:#x}: {what}", hint="it was written over")


def read_memfd(data: bytes, version: MemfdVersion, address: int) -> Memfd | None:
    """struct memfd_luo_ser at a physical address; None where these bytes cannot be one."""
    if len(data) < version.size:
        return None
    position, size = u64(data), u64(data, 8)
    seals = flags = 0
    at = 16
    if version.sealed:
        seals, flags = int.from_bytes(data[16:20], "little"), int.from_bytes(data[20:24], "little")
        at = 24
    folios = u64(data, at)
    area = read_vmalloc(data[at + 8 : at + 8 + SIZE])
    if size > _LARGEST or position >= 1 << 63 or seals >> len(SEALS) or flags:
        return None
    if not size:
        return Memfd(address, version, position, 0, seals, flags, 0, None)
    pages = -(-size // PAGE_SIZE)
    if area is None or not 0 < folios <= pages or area.pages < -(-folios * _FOLIO // PAGE_SIZE):
        return None
    return Memfd(address, version, position, size, seals, flags, folios, area)


def is_memfd(data: bytes, address: int) -> Memfd | None:
    """The memfd that a page begins with, told by its form alone, in any version; None where it is none, or empty.

    A page that Linux has zeroed for it has nothing behind the structure, and its list has exactly as many pages as it
    needs; hardly anything else looks so.
    """
    for version in reversed(MEMFD):
        found = read_memfd(data, version, address)
        if found is None or found.list is None or any(data[version.size : PAGE_SIZE]):
            continue
        if found.list.pages == -(-found.folios * _FOLIO // PAGE_SIZE):
            return found
    return None


def seals_text(seals: int) -> str:
    """The names of the seals."""
    return ", ".join(name for bit, name in enumerate(SEALS) if seals >> bit & 1) or "none"
