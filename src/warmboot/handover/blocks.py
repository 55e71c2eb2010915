"""Serialized entries: linked blocks of a page each, or one array behind a header.

kernel/liveupdate/kho_block.c and include/linux/kho/abi/block.h (kho-v4).
"""

from __future__ import annotations

from collections.abc import Iterator

from warmboot.handover.interface import PAGE_SIZE, HandoverError, PhysicalMemory, u64

__all__ = ["HEADER", "MOST_BLOCKS", "array", "blocks"]

HEADER = 16  # bytes of struct kho_block_header_ser: next, count
MOST_BLOCKS = 10_000  # KHO_MAX_BLOCKS
_MOST_ARRAY = 1 << 24  # bytes: far more than an array of one allocation can have


def blocks(memory: PhysicalMemory, head: int, size: int, what: str) -> Iterator[tuple[int, list[bytes]]]:
    """Each block's physical address and its entries of `size` bytes, from the one at `head` on.

    Raises WarmbootError where the chain is damaged, as Linux does: a circle, or a count that does not fit.
    """
    at, seen = head, set[int]()
    while at:
        if at % PAGE_SIZE or at in seen or len(seen) >= MOST_BLOCKS:
            raise HandoverError(f"{what}: at {at:#x}: a new block was expected", hint="it was written over")
        seen.add(at)
        page = memory.physical(at, PAGE_SIZE)
        count = u64(page, 8)
        if count > (PAGE_SIZE - HEADER) // size:
            raise HandoverError(f"{what}: the block at {at:#x} has {count} entries", hint="it was written over")
        yield at, [page[HEADER + number * size : HEADER + (number + 1) * size] for number in range(count)]
        at = u64(page)


def array(memory: PhysicalMemory, at: int, count: int, size: int, what: str) -> list[bytes]:
    """`count` entries of `size` bytes at a physical address. Raises WarmbootError."""
    if count * size > _MOST_ARRAY:
        raise HandoverError(f"{what}: {count} entries at {at:#x} cannot be", hint="it was written over")
    data = memory.physical(at, count * size) if count else b""
    return [data[number * size : (number + 1) * size] for number in range(count)]
