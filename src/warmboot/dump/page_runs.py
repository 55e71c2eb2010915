"""The pages of a kdump's bitmap as ranges of addresses: the bitmap itself is kept, however fragmented it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from warmboot.memmap.range_set import RangeSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PageRuns", "only"]

_AT_ONCE = 1 << 16  # bytes of the bitmap
_BEYOND = 1 << 65  # as RangeSet says


class PageRuns(RangeSet):
    """A RangeSet of addresses in bytes that is not to be changed: bit N of the bitmap (lowest bit first) is page N."""

    __slots__ = ("_bitmap", "_frames", "_size")

    def __init__(self, bitmap: NDArray[np.uint8], frames: int, page_size: int) -> None:
        """Of the first `frames` pages."""
        super().__init__()
        self._bitmap, self._frames, self._size = bitmap, min(frames, len(bitmap) * 8), page_size

    def __bool__(self) -> bool:
        return self._next(0, wanted=True) < self._frames

    def __contains__(self, number: int) -> bool:
        return self._is_set(number // self._size)

    def runs(self) -> Iterator[range]:
        """As RangeSet says."""
        start, stop, size = 0, 0, self._size
        for at in range(0, len(self._bitmap), _AT_ONCE):
            bits = np.unpackbits(self._bitmap[at : at + _AT_ONCE], bitorder="little")[: max(0, self._frames - at * 8)]
            edges = np.flatnonzero(np.diff(np.concatenate(([0], bits, [0])).astype(np.int8))) + at * 8
            for first, last in edges.reshape(-1, 2):
                if int(first) != stop or stop == 0:
                    if start < stop:
                        yield range(start * size, stop * size)
                    start = int(first)
                stop = int(last)
        if start < stop:
            yield range(start * size, stop * size)

    def look(self, number: int) -> tuple[bool, int]:
        """As RangeSet says."""
        frame = number // self._size
        inside = self._is_set(frame)
        border = self._next(frame, wanted=not inside)
        return inside, border * self._size if border < self._frames or inside else _BEYOND

    def find(self, number: int) -> tuple[int, int] | None:
        """As RangeSet says."""
        frame = number // self._size
        first = self._next(frame, wanted=True)
        if first >= self._frames:
            return None
        start = number if first == frame else first * self._size
        return start, self._next(first, wanted=False) * self._size

    def covers(self, start: int, stop: int) -> bool:
        """As RangeSet says."""
        inside, border = self.look(start)
        return inside and stop <= border

    def _is_set(self, frame: int) -> bool:
        return 0 <= frame < self._frames and bool(self._bitmap[frame >> 3] >> (frame & 7) & 1)

    def _next(self, frame: int, *, wanted: bool) -> int:
        """The first page from `frame` on that is in the set, or is not; the number of pages where there is none."""
        while frame & 7 and frame < self._frames:
            if self._is_set(frame) == wanted:
                return frame
            frame += 1
        if frame >= self._frames:
            return self._frames
        other = 0 if wanted else 0xFF
        for at in range(frame >> 3, -(-self._frames // 8), _AT_ONCE):
            found = np.flatnonzero(self._bitmap[at : at + _AT_ONCE] != other)
            if len(found):
                frame = (at + int(found[0])) * 8
                while frame < self._frames and self._is_set(frame) != wanted:
                    frame += 1
                return min(frame, self._frames)
        return self._frames


def only(bitmap: NDArray[np.uint8], frames: range) -> NDArray[np.uint8]:
    """A bitmap with the bits of these pages alone."""
    mine = np.zeros_like(bitmap)
    first, last = max(0, frames.start), min(frames.stop, len(bitmap) * 8)
    if first < last:
        low, high = first >> 3, -(-last // 8)
        mine[low:high] = bitmap[low:high]
        mine[low] &= 0xFF << (first & 7) & 0xFF
        if last & 7:
            mine[high - 1] &= (1 << (last & 7)) - 1
    return mine
