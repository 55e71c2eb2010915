"""The relocations that Linux's build appends to a vmlinux in a bzImage, for KASLR (arch/x86/tools/relocs.c).

They are 32-bit words that a decompressor reads from their end on: addresses of words to change by the distance that
the kernel is moved in its virtual space, up to a zero; before it, until Linux 6.15, addresses of words that change the
other way round (per-CPU offsets); before them, addresses of 64-bit words, up to the zero with which all begins.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass

from warmboot.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Relocations", "parse_relocations"]

_MASK_32, _MASK_64 = (1 << 32) - 1, (1 << 64) - 1
_START_KERNEL_MAP = 0x8000_0000  # __START_KERNEL_map, its lower half: the rest is its sign
_HINT = "copy or download the file again; without --unpack kernel the kernel unpacks itself"


@dataclass(frozen=True, slots=True)
class Relocations:
    """Places in the kernel, each the lower half of a virtual address, by what is done there."""

    add_64: Sequence[int]
    subtract_32: Sequence[int]
    add_32: Sequence[int]

    @property
    def count(self) -> int:
        """How many places there are."""
        return len(self.add_64) + len(self.subtract_32) + len(self.add_32)

    def apply(self, kernel: memoryview, start: int, distance: int, name: str) -> None:
        """Change `kernel`, writable bytes that begin at physical address `start` as linked, for being moved.

        `distance` is how far it is moved in virtual addresses, bytes. Raises InputError, about the file `name`, where
        a place lies outside; nothing is changed then.
        """
        bias = _START_KERNEL_MAP + start
        for places, size in ((self.add_64, 8), (self.subtract_32, 4), (self.add_32, 4)):
            if places and not (bias <= min(places) and max(places) - bias + size <= kernel.nbytes):
                raise InputError(f"{name}: a relocation of the kernel inside lies outside of it", hint=_HINT)
        for places, step in ((self.subtract_32, -distance), (self.add_32, distance)):
            _change(kernel, places, bias, step, struct.Struct("<I"), _MASK_32)
        _change(kernel, self.add_64, bias, distance, struct.Struct("<Q"), _MASK_64)


def _change(kernel: memoryview, places: Sequence[int], bias: int, step: int, word: struct.Struct, mask: int) -> None:
    get, put = word.unpack_from, word.pack_into
    for place in places:
        at = place - bias
        put(kernel, at, get(kernel, at)[0] + step & mask)


def parse_relocations(table: memoryview, name: str) -> Relocations | None:
    """What follows the ELF file in the payload of the file `name`: None where that is nothing, and the kernel cannot be
    moved in its virtual space. Raises InputError for a table that makes no sense.
    """
    if not table.nbytes:
        return None
    if table.nbytes % 4:
        raise InputError(f"{name}: {table.nbytes} bytes follow the kernel inside: no table of relocations", hint=_HINT)
    words = array("I", bytes(table))
    if sys.byteorder == "big":
        words.byteswap()
    zeros = [number for number, word in enumerate(words) if not word]
    if not zeros or zeros[0] != 0 or len(zeros) not in (2, 3):
        raise InputError(
            f"{name}: the table of relocations has {len(zeros)} lists, and none is known with so many", hint=_HINT
        )
    inverse = words[zeros[1] + 1 : zeros[2]] if len(zeros) == 3 else array("I")
    return Relocations(words[1 : zeros[1]], inverse, words[zeros[-1] + 1 :])
