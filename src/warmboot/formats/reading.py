"""Numbers and magics in a file's bytes; what lies after the end reads as zeros, so that no look at a file can fail."""

from __future__ import annotations

__all__ = ["has", "u16", "u32", "u64"]


def has(data: memoryview, offset: int, magic: bytes) -> bool:
    """Whether `magic` lies at `offset`."""
    return bytes(data[offset : offset + len(magic)]) == magic


def u16(data: memoryview, offset: int) -> int:
    """The little-endian number of 2 bytes at `offset`."""
    return int.from_bytes(data[offset : offset + 2], "little")


def u32(data: memoryview, offset: int) -> int:
    """The little-endian number of 4 bytes at `offset`."""
    return int.from_bytes(data[offset : offset + 4], "little")


def u64(data: memoryview, offset: int) -> int:
    """The little-endian number of 8 bytes at `offset`."""
    return int.from_bytes(data[offset : offset + 8], "little")
