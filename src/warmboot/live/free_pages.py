"""Pages that the running kernel can take for the copy of an image: free ones, by /proc/kpageflags."""

from __future__ import annotations

import os

from warmboot.live.files import text, under
from warmboot.placement.in_use import BLOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["free_pages"]

_PAGE = 4096
_WORD = 8  # bytes of /proc/kpageflags for each page
_BUDDY_BYTE, _BUDDY_BIT = 1, 4  # KPF_BUDDY (include/uapi/linux/kernel-page-flags.h) in a word, its first byte first
_FREE = bytes(1 if value & _BUDDY_BIT else 0 for value in range(256))
_PAGES = BLOCK // _PAGE
_FOUR_GIB_BLOCKS = (1 << 32) // BLOCK
_LOW_ZONES = ("DMA", "DMA32")


def free_pages(size: int, root: str = "/") -> Callable[[int, int], list[int]] | None:
    """How many pages of each block are free and may be taken for an image of `size` bytes: of so many blocks of BLOCK
    bytes from the given one on.

    Those below 4 GiB are not taken while enough lie above. None where the kernel does not tell (it takes root).
    """
    path = under(root, "proc/kpageflags")
    if not os.access(path, os.R_OK):
        return None
    low_is_safe = _free_above(root) * 4 >= size // _PAGE * 5

    def free(first: int, count: int) -> list[int]:
        found: list[int] = []
        flags = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for block in range(first, first + count):
                if low_is_safe and block < _FOUR_GIB_BLOCKS:
                    found.append(0)
                    continue
                data = os.pread(flags, _PAGES * _WORD, block * _PAGES * _WORD)
                found.append(data[_BUDDY_BYTE::_WORD].translate(_FREE).count(1) + _PAGES - len(data) // _WORD)
        finally:
            os.close(flags)
        return found

    return free


def _free_above(root: str) -> int:
    """Pages that are free in the zones of the first node above 4 GiB, by /proc/buddyinfo; 0 where that is not told."""
    total = 0
    for line in (text(under(root, "proc/buddyinfo")) or "").splitlines():
        words = line.replace(",", " ").split()
        if words[:3] == ["Node", "0", "zone"] and words[3] not in _LOW_ZONES:
            total += sum(int(count) << order for order, count in enumerate(words[4:]) if count.isdecimal())
    return total
