"""The checksum that Linux's test module keeps: csum_partial, the Internet's (RFC 1071), not folded."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["checksum", "same"]

_ONES = (1 << 32) - 1


def checksum(parts: Iterable[bytes]) -> int:
    """The sum of 16-bit words, folded; each part has an even number of bytes."""
    total = 0
    for each in parts:
        total += int.from_bytes(each, "little") % 0xFFFF
    return total % 0xFFFF


def same(kept: int, found: int) -> bool:
    """Whether what csum_partial gave, 32 bits that may be folded in more than one way, is this sum."""
    return kept % 0xFFFF == found % 0xFFFF
