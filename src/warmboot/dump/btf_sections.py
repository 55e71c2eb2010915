"""The header of BTF, and the two sections that it names: types and strings."""

from __future__ import annotations

import sys
from array import array
from typing import Literal

from warmboot.dump.interface import DumpError

__all__ = ["MAGIC", "damaged", "sections"]

MAGIC = 0xEB9F
_HEADER = 24  # bytes


def sections(data: bytes) -> tuple[array[int], bytes]:
    """The types as 32-bit words of this machine, and the strings."""
    order = _byte_order(data)
    head, type_off, type_len, str_off, str_len = (
        int.from_bytes(data[at : at + 4], order) for at in range(4, _HEADER, 4)
    )
    for what, start, size in (("types", type_off, type_len), ("strings", str_off, str_len)):
        if head < _HEADER or head + start + size > len(data):
            raise damaged(f"{what} at byte {head + start:#x}, {size:#x} bytes, are not in its {len(data):#x} bytes")
    if type_len % 4 or type_off % 4:
        raise damaged(f"{type_len:#x} bytes of types at {type_off:#x}: multiples of 4 were expected")
    words = array("I", data[head + type_off : head + type_off + type_len])
    if order != sys.byteorder:
        words.byteswap()
    return words, data[head + str_off : head + str_off + str_len]


def _byte_order(data: bytes) -> Literal["little", "big"]:
    for order in ("little", "big"):
        if len(data) >= _HEADER and int.from_bytes(data[:2], order) == MAGIC:
            if data[2] != 1:
                raise damaged(f"version {data[2]} at byte 2, version 1 was expected")
            return order
    raise damaged(f"it begins with {data[:4].hex() or 'nothing'}, magic {MAGIC:#x} and a header were expected")


def damaged(what: str) -> DumpError:
    """What is told of a table that cannot be read."""
    return DumpError(f"BTF: {what}", hint="the dump's copy of the kernel's types is damaged or of a newer format")
