"""Contiguous memory (mm/cma.c): the default area, which `cma=` reserves, and what kexec_file_load takes of it.

Since Linux 6.17 an image's segments lie there where they find room, wherever the file wants to lie: they are loaded to
their destination at once, and nothing is copied at the jump (kexec_alloc_contig).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.numbers import number
from warmboot.uapi import PAGE_SHIFT

if TYPE_CHECKING:
    from warmboot.memmap import Facts

__all__ = ["Cma", "cma_of"]

_CMA_ALIGNMENT = 8  # CONFIG_CMA_ALIGNMENT as it is by default, an order of pages
_MOST_ADDRESS = 1 << 52


class Cma:
    """The area, in frames: the first free ones are taken that are aligned to `order`, at most `alignment`."""

    def __init__(self, area: range, alignment: int = _CMA_ALIGNMENT) -> None:
        self.area = area
        self._alignment = alignment
        self.taken: tuple[range, ...] = ()  # in order

    def alloc(self, count: int, order: int) -> range | None:
        """`count` frames, or None."""
        if not count:
            return None
        step = 1 << min(order, self._alignment)
        first = -(-self.area.start // step) * step
        for each in (*self.taken, range(self.area.stop, self.area.stop)):
            if first + count <= each.start:
                found = range(first, first + count)
                self.taken = tuple(sorted((*self.taken, found), key=lambda one: one.start))
                return found
            first = max(first, -(-each.stop // step) * step)
        return None

    def release(self, frames: range) -> None:
        """Give back what `alloc` gave."""
        self.taken = tuple(each for each in self.taken if each != frames)


def cma_of(facts: Facts) -> Cma | None:
    """The default area as a machine's facts tell it; None where there is none, or what they tell is no RAM."""
    start, end = (number(each, 16, most=_MOST_ADDRESS) for each in (facts.cma or "-").split("-", 1))
    if start is None or end is None or start > end:
        return None
    area = range(start >> PAGE_SHIFT, (end + 1) >> PAGE_SHIFT)
    if not any(each.start <= start and end < each.end for each in facts.system_ram):
        return None
    alignment = number((facts.kernel_config or {}).get("CONFIG_CMA_ALIGNMENT", ""), most=20)
    return Cma(area, _CMA_ALIGNMENT if alignment is None else alignment)
