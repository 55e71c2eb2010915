"""A 32-bit payload that looks around and writes what it found: hand-assembled, it runs wherever it lies."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from warmboot.kernel import PhysicalMemory

__all__ = ["FOUND", "Found32", "found32", "looking_payload"]

FOUND = 0x120_0000  # physical: where it writes, 32-bit words
_NAMES = ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp", "stack", "argument", "eflags", "cr0", "cr4", "efer")
_SELECTORS = ("cs", "ds", "es", "ss", "fs", "gs")


@dataclass(frozen=True)
class Found32:
    """What it found: general registers, the two words at the stack's top, control registers, selectors, the GDT."""

    values: dict[str, int]
    gdt_base: int
    gdt_limit: int


def looking_payload() -> bytes:
    """Its code. The second word of the stack is read as a 32-bit function reads its first argument."""
    code = b"\xa3" + struct.pack("<I", FOUND)  # mov [FOUND], eax
    for number, register in enumerate((3, 1, 2, 6, 7, 5, 4), start=1):  # mov [FOUND + n], ebx ecx edx esi edi ebp esp
        code += bytes([0x89, 0x05 | register << 3]) + struct.pack("<I", FOUND + 4 * number)
    reads = [
        "8b0424",  # mov eax, [esp]
        "8b442404",  # mov eax, [esp + 4]
        "9c58",  # pushf; pop eax
        "0f20c0",  # mov eax, cr0
        "0f20e0",  # mov eax, cr4
        "b9800000c00f32",  # mov ecx, EFER; rdmsr
        *("8cc8", "8cd8", "8cc0", "8cd0", "8ce0", "8ce8"),  # mov eax, cs ds es ss fs gs
    ]
    for number, read in enumerate(reads, start=8):
        code += bytes.fromhex(read) + b"\xa3" + struct.pack("<I", FOUND + 4 * number)
    return code + bytes.fromhex("0f0105") + struct.pack("<I", FOUND + 0x80) + b"\xf4"  # sgdt [FOUND + 0x80]; hlt


def found32(memory: PhysicalMemory) -> Found32:
    """What it wrote."""
    names = _NAMES + _SELECTORS
    values = dict(zip(names, struct.unpack(f"<{len(names)}I", memory.read(FOUND, 4 * len(names))), strict=True))
    limit, base = struct.unpack("<HI", memory.read(FOUND + 0x80, 6))
    return Found32(values, base, limit)
