"""Kernel virtual addresses of a dump, through the page tables that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.dump import arch
from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory

__all__ = ["read_virtual"]


def read_virtual(memory: Memory, name: str, address: int, size: int) -> bytes:
    """`size` bytes at a kernel virtual address; `name` is the file's, for messages. Raises DumpError."""
    parts = []
    while size:
        found = arch.of(memory.machine).translate(memory.physical, memory.vmcoreinfo, address)
        if found is None:
            raise DumpError(f"{name}: virtual address {address:#x} is not mapped", hint="give another address")
        count = min(size, found[1])
        parts.append(memory.physical(found[0], count))
        address, size = address + count, size - count
    return b"".join(parts)
