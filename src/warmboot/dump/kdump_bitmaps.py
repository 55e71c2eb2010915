"""The bitmaps of a kdump-compressed dump: which pages there were, which are in the file, and the row of each there."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from warmboot.dump.page_runs import only

__all__ = ["Bitmaps"]

_COUNT = 4096  # bytes of the bitmap between counts


class Bitmaps:
    """A bit for each page, lowest first. `part` are the frames of this file, `room` the rows of descriptors that it has
    room for: `mine` are the pages that have a row, `gone` those whose row would be beyond the end of the file."""

    def __init__(self, dumped: NDArray[np.uint8], valid: NDArray[np.uint8], part: range, room: int) -> None:
        """`dumped` are the pages of all files of a split dump, `valid` those of the machine's memory."""
        self._dumped = dumped
        self.valid: NDArray[np.uint8] = valid
        # The number of pages in the dump before each part of the bitmap, by which a page's descriptor is found.
        counts = [np.bitwise_count(dumped[each : each + _COUNT]).sum() for each in range(0, len(dumped), _COUNT)]
        self._before = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        self._first = self._below(part.start)
        self.rows: int = max(0, self._below(part.stop) - self._first)  # descriptors that the bitmap asks for
        self.mine: NDArray[np.uint8] = dumped
        end = part.stop
        if room < self.rows:
            end = min(end, self._frame(self._first + room))
        if part.start > 0 or end < 8 * len(dumped):
            self.mine = only(dumped, range(part.start, end))
        self._lost = range(end, part.stop)

    def __contains__(self, frame: int) -> bool:
        byte, bit = divmod(frame, 8)
        return 0 <= byte < len(self.mine) and bool(int(self.mine[byte]) >> bit & 1)

    def row(self, frame: int) -> int:
        """The number of the descriptor of a page in the file."""
        return self._below(frame) - self._first

    def frame(self, row: int) -> int:
        """The page of a descriptor in the file."""
        return self._frame(self._first + row)

    @property
    def strange(self) -> int:
        """How many pages are in the dump that were no memory."""
        return sum(
            int(np.bitwise_count(self.mine[at : at + _COUNT] & ~self.valid[at : at + _COUNT]).sum())
            for at in range(0, len(self.mine), _COUNT)
        )

    @cached_property
    def gone(self) -> NDArray[np.uint8]:
        """The pages whose descriptors are missing."""
        return only(self._dumped, self._lost)

    def _below(self, frame: int) -> int:
        """How many pages below a frame are in the dump."""
        byte, bit = divmod(max(0, min(frame, 8 * len(self._dumped))), 8)
        begin = byte // _COUNT * _COUNT
        count = int(self._before[byte // _COUNT]) + int(np.bitwise_count(self._dumped[begin:byte]).sum())
        return count + ((int(self._dumped[byte]) & (1 << bit) - 1).bit_count() if bit else 0)

    def _frame(self, row: int) -> int:
        """The frame of the page that so many pages of the dump are below."""
        block = max(0, int(np.searchsorted(self._before, row, side="right")) - 1)
        bits = np.unpackbits(self._dumped[block * _COUNT : (block + 1) * _COUNT], bitorder="little")
        found = np.flatnonzero(bits)
        within = row - int(self._before[block])
        return block * _COUNT * 8 + (int(found[within]) if within < len(found) else len(bits))
