"""A place whose pages are in use, for what is large.

Linux copies an image into pages that it takes as they come. One that lies where some page of the image is to go is put
on a list, which is searched from its beginning for every further page (kimage_alloc_page in kernel/kexec_core.c): where
many pages of the destination are free, the time grows with the square of their number. A page that is in use, such as
those of the page cache that hold the very file, is never taken.
"""

from __future__ import annotations

from warmboot.memmap.ranges import Range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BLOCK", "LEAST", "fullest", "is_full"]

BLOCK = 2 << 20  # bytes that are looked at as one
LEAST = 128 << 20  # bytes of an initrd from which on it matters: below, the list is searched in a fraction of a second
_SHARE = 16  # of a place's pages: so many free ones make no difference
_PAGES = BLOCK >> 12
_LOOKED_AT = 16  # times the size, or 4 GiB: more is not looked at, as that takes time too
_FOUR_GIB = 1 << 32


def is_full(where: Range, free_pages: Callable[[int, int], Sequence[int]]) -> bool:
    """Whether few of its pages can be taken. `free_pages` tells how many are free of each block, from the first on."""
    first, end = where.start // BLOCK, -(-where.end // BLOCK)
    return sum(free_pages(first, end - first)) <= (end - first) * _PAGES // _SHARE


def fullest(free: Sequence[Range], size: int, free_pages: Callable[[int, int], Sequence[int]]) -> Range | None:
    """The place for `size` bytes at a multiple of BLOCK in one of `free`, sorted, of which the fewest pages are free.

    The highest of several. None where there is none, or where it has no less free pages than half.
    """
    blocks, left = -(-size // BLOCK), max(_LOOKED_AT * size, _FOUR_GIB) // BLOCK
    best: tuple[int, int] | None = None  # free pages, the first block
    for each in (
        *(low for low in free if low.end <= _FOUR_GIB),
        *reversed([high for high in free if high.end > _FOUR_GIB]),
    ):
        first, end = -(-each.start // BLOCK), each.end // BLOCK
        first = max(first, end - left)
        if end - first < blocks:
            continue
        left -= end - first
        counts = free_pages(first, end - first)
        total = sum(counts[:blocks])
        for start in range(first, end - blocks + 1):
            if start > first:
                total += counts[start - first + blocks - 1] - counts[start - first - 1]
            if best is None or (total, -start) < (best[0], -best[1]):
                best = total, start
    if best is None or best[0] > blocks * _PAGES // 2:
        return None
    return Range(best[1] * BLOCK, best[1] * BLOCK + size)
