"""A byte of many struct pages at once: columns, and the sets of pages that they tell.

A set of pages is an integer with a byte for each page, the first one lowest: 1 for a page that is in it, 0 for one that
is not. Slices, bytes.translate() and the operators of integers each do a whole piece of memory in one call. It takes as
long as NumPy does, without the tenth of a second and the 60 MiB of an initrd that NumPy takes by itself.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["Columns", "every"]

_FEW = 64  # pages that are looked at one by one
_ONE = re.compile(b"\1")


@cache
def every(count: int) -> int:
    """The set of all of `count` pages."""
    return int.from_bytes(b"\1" * count, "little")


@cache
def _table(mask: int, value: int) -> bytes:
    """1 for the bytes that are `value` where `mask` has bits."""
    return bytes(byte & mask == value for byte in range(256))


@cache
def _below(limit: int) -> bytes:
    return bytes(byte < limit for byte in range(256))


class Columns:
    """`count` struct pages from number `first` of those in `pages`; each has `size` bytes."""

    def __init__(self, pages: bytes, size: int, first: int, count: int) -> None:
        self._pages, self._size, self._start, self._count = pages, size, first * size, count
        self._read: dict[int, bytes] = {}

    def byte(self, offset: int) -> bytes:
        """The byte at an offset from each page on, which may lie in the next page; 0 where there is none."""
        found = self._read.get(offset)
        if found is None:
            at = self._start + offset
            found = self._pages[at : at + (self._count - 1) * self._size + 1 : self._size]
            self._read[offset] = found = found.ljust(self._count, b"\0")
        return found

    def equal(self, offset: int, mask: int, value: int) -> int:
        """The pages whose number at an offset is `value` where `mask` has bits. Numbers are little-endian."""
        found, at = every(self._count), offset
        while mask and found:
            if mask & 0xFF:
                found &= self._told(at, _table(mask & 0xFF, value & mask & 0xFF))
            mask, value, at = mask >> 8, value >> 8, at + 1
        return found

    def any(self, offset: int, mask: int) -> int:
        """The pages whose number at an offset has one of the bits of `mask`, at least."""
        return every(self._count) ^ self.equal(offset, mask, 0)

    def below(self, offset: int, limit: int, among: int) -> int:
        """Those of the pages `among` whose number of 64 bits at an offset is below `limit`, at most 256."""
        found = among & self._told(offset, _below(limit))
        if found.bit_count() > _FEW:
            return found & self.equal(offset + 1, (1 << 56) - 1, 0)
        for each in _ONE.finditer(found.to_bytes(self._count, "little")):
            at = self._start + each.start() * self._size + offset
            if any(self._pages[at + 1 : at + 8]):
                found ^= 1 << 8 * each.start()
        return found

    def _told(self, offset: int, table: bytes) -> int:
        return int.from_bytes(self.byte(offset).translate(table), "little")
