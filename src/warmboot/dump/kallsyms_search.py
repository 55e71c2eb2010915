"""Where the tables of kallsyms lie: noted in VMCOREINFO since 6.0, found by what they look like before.

scripts/kallsyms.c lays them down as offsets, relative_base, num_syms, names, markers, token_table, token_index (until
6.4; later in another order, which VMCOREINFO makes needless to know). The digits are in use in every kernel, so each
stands for itself in the token table: "0", "1", ... "9" in a row, each with a zero byte. From there everything else is
found, and must agree.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from warmboot.dump.interface import DumpError
from warmboot.dump.spans import spans

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory

__all__ = ["Tables", "noted", "searched"]

_IMAGE = 96 << 20  # bytes of the kernel's image that are searched
_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_MARKED = 256  # symbols for each marker
_MOST_SYMBOLS = 1 << 22
_MOST_TRIES = 8  # of one part of the image: a table that is there is found at the first


@dataclass(frozen=True, slots=True)
class Tables:
    """Virtual addresses of the tables; 0 for what a kernel has not: `offsets` or `addresses`, and `relative_base`."""

    names: int
    num_syms: int
    token_table: int
    token_index: int
    offsets: int = 0
    relative_base: int = 0
    addresses: int = 0
    order: Literal["little", "big"] = "little"

    @property
    def swapped(self) -> bool:
        """Whether its numbers are in the other byte order than this computer's."""
        return self.order != sys.byteorder


def noted(memory: Memory) -> Tables | None:
    """The tables by VMCOREINFO; None where it does not have them."""
    found = {
        name: memory.vmcoreinfo.symbol(f"kallsyms_{name}") or 0
        for name in (
            "names",
            "num_syms",
            "token_table",
            "token_index",
            "offsets",
            "relative_base",
            "addresses",
        )
    }
    needed = found["names"] and found["num_syms"] and found["token_table"] and found["token_index"]
    if not needed or not (found["offsets"] or found["addresses"]):
        return None
    return Tables(**found, order="big" if memory.machine in ("s390x", "ppc64", "ppc") else "little")


def searched(memory: Memory) -> Tables:
    """The tables by a search of the kernel's image. Raises DumpError where nothing in it can be them."""
    start = memory.vmcoreinfo.symbol("_stext")
    if start is None:
        raise DumpError(
            "kallsyms: VMCOREINFO has no SYMBOL(_stext), from which the kernel's tables of symbols are looked for",
            hint="the dump's VMCOREINFO is damaged or missing",
        )
    kept_at, kept = start, b""
    for at, part in spans(memory, start, _IMAGE):
        joined = kept_at + len(kept) == at
        kept_at, kept = (kept_at, kept[-(8 << 20) :] + part) if joined else (at, part)
        if joined:
            kept_at = at - (len(kept) - len(part))
        for tables in _candidates(kept, kept_at):
            return tables
    raise DumpError(
        f"kallsyms: no tables of symbols in {_IMAGE >> 20} MiB from {start:#x} on",
        hint="the kernel has no CONFIG_KALLSYMS, or pages of its image are missing in the dump",
    )


def _candidates(image: bytes, base: int) -> Iterator[Tables]:
    digits, tries = image.find(_DIGITS), _MOST_TRIES
    while digits >= 0 and tries:
        tries -= 1
        found = _around(image, base, digits)
        if found is not None:
            yield found
        digits = image.find(_DIGITS, digits + 1)


def _around(image: bytes, base: int, digits: int) -> Tables | None:
    """The tables around the token of "0" at byte `digits`, or None where something does not agree."""
    end = digits
    for _ in range(256 - ord("0")):
        end = image.find(b"\0", end, end + (64 << 10)) + 1
        if end == 0:
            return None
    token_index = _aligned(base + end) - base
    index = array("H", image[token_index : token_index + 512])
    if sys.byteorder == "big":
        index.byteswap()
    if len(index) < 256 or index[0] != 0 or any(a >= b for a, b in pairwise(index)):
        return None
    token_table = digits - index[ord("0")]
    markers = _markers(image, token_table)
    if markers is None:
        return None
    first, last, count = markers
    return _names_before(image, base, first, last, count, (token_table, token_index))


def _markers(image: bytes, end: int) -> tuple[int, int, int] | None:
    """The markers that end at `end`, or 4 bytes before: where they begin, the last of them, how many."""
    for stop in (end, end - 4):
        at, below, count = stop - 4, 1 << 32, 0
        while at >= 0 and count <= _MOST_SYMBOLS // _MARKED:
            value = int.from_bytes(image[at : at + 4], "little")
            if value >= below:
                break
            count += 1
            if value == 0:
                last = int.from_bytes(image[stop - 4 : stop], "little")
                if count > 1:
                    return at, last, count
                break
            at, below = at - 4, value
    return None


def _names_before(image: bytes, base: int, first: int, last: int, count: int, token: tuple[int, int]) -> Tables | None:
    """Names end where the markers begin: their number lies before them, and so many names must fit exactly."""
    least, most = (count - 1) * _MARKED, count * _MARKED
    highest = _aligned(base + first - last) - base
    lowest = max(highest - _MARKED * 128 - 64, 16)
    tries = _MOST_TRIES
    for names in range(highest, lowest, -8):
        symbols = int.from_bytes(image[names - 8 : names - 4], "little")
        if not least < symbols <= most or not tries:
            continue
        tries -= 1
        if _walked(image, names, first, symbols, count):
            relative_base = names - 16
            offsets = relative_base - (4 * symbols + 7) // 8 * 8
            if offsets < 0:
                return None
            return Tables(
                base + names, base + names - 8, base + token[0], base + token[1], base + offsets, base + relative_base
            )
    return None


def _walked(image: bytes, names: int, end: int, symbols: int, markers: int) -> bool:
    """Whether so many names lead from `names` to `end`, and every 256th is where its marker says."""
    at = names
    for number in range(symbols):
        if at >= end:
            return False
        if number % _MARKED == 0:
            marker = end + number // _MARKED * 4
            if int.from_bytes(image[marker : marker + 4], "little") != at - names or number // _MARKED >= markers:
                return False
        size = image[at]
        at += 1 + size if size < 0x80 else 2 + (size & 0x7F | image[at + 1] << 7)  # two bytes: 6.1
    return at <= end < at + 8


def _aligned(address: int) -> int:
    return (address + 7) // 8 * 8
