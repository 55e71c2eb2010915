"""How a memfd is preserved and comes back (mm/memfd_luo.c)."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmboot.kernel.fdtable import File
from warmboot.kernel.luo_rules import MEMFD_HUGE, MEMFD_MEMORY, MEMFD_SEALS
from warmboot.kernel.shmem import (
    F_ALL_SEALS,
    MFD_ALLOW_SEALING,
    ShmemFile,
    memfd_add_seals,
    memfd_alloc_file,
)
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE

__all__ = ["MemfdHandler", "MemfdSer"]

_UINT_MAX = 0xFFFF_FFFF
_INT_MAX = 0x7FFF_FFFF
_POINTER = 8  # bytes
_ALL_SEALS = F_ALL_SEALS  # MEMFD_LUO_ALL_SEALS of memfd-v2


@dataclass(slots=True)
class MemfdSer:
    """struct memfd_luo_ser, with the pages themselves for their frames' numbers."""

    size: int
    seals: int
    position: int = 0
    pages: dict[int, bytearray] = field(default_factory=dict)


class MemfdHandler:
    """The one handler of files that Linux 7.2 registers; `totalram_pages` bounds the list of a file's pages."""

    compatible = "memfd-v2"

    def __init__(self, totalram_pages: int) -> None:
        self._totalram_pages = totalram_pages

    def can_preserve(self, file: File) -> bool:
        """Whether the file is shmem's and has no name."""
        return isinstance(file, ShmemFile)

    def preserve(self, file: ShmemFile) -> MemfdSer:
        """Freeze the file's size, allocate its holes and pin its pages. Raises KexecError."""
        inode = file.inode
        if inode.seals & ~_ALL_SEALS:
            raise MEMFD_SEALS.refuse(f"seals {inode.seals & ~_ALL_SEALS:#x} cannot be preserved")
        pages = -(-inode.size // PAGE_SIZE)
        if pages > _UINT_MAX:
            raise MEMFD_HUGE.refuse(f"the file has {pages} pages, at most {_UINT_MAX} are preserved")
        listed = pages * _POINTER  # bytes: kvmalloc gives no more than INT_MAX, and no more than there is
        if listed > _INT_MAX or -(-listed // PAGE_SIZE) > self._totalram_pages:
            raise MEMFD_MEMORY.refuse(
                f"the list of the file's {pages} pages takes {listed} bytes, the machine has"
                f" {self._totalram_pages << PAGE_SHIFT}",
                addresses=(pages, self._totalram_pages),
            )
        inode.frozen, inode.pinned = True, pages > 0
        return MemfdSer(inode.size, inode.seals, file.position)

    def unpreserve(self, file: ShmemFile) -> None:
        """Take it back."""
        file.inode.frozen = file.inode.pinned = False

    def freeze(self, file: ShmemFile, ser: MemfdSer) -> None:
        """The reboot has begun: where the file stood; its pages are what they are."""
        ser.position = file.position
        ser.pages = file.inode.pages

    def retrieve(self, ser: MemfdSer) -> ShmemFile:
        """The file in the next kernel. Raises KexecError.

        It may be executed, whatever it was before: a file whose seal forbids execution gets the seals that go with it
        in such a file, and can neither be written nor change its size.
        """
        if ser.seals & ~_ALL_SEALS:
            raise MEMFD_SEALS.refuse(f"seals {ser.seals & ~_ALL_SEALS:#x} are not known to this kernel")
        file = memfd_alloc_file(MFD_ALLOW_SEALING)
        memfd_add_seals(file, ser.seals)
        file.position = ser.position
        file.inode.size = ser.size
        file.inode.pages = ser.pages
        return file
