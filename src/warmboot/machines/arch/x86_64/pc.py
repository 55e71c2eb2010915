"""How a PC in QEMU lays out memory, and what its firmware keeps of it."""

from __future__ import annotations

__all__ = ["FIRMWARE_ROOM", "MAX_LOW"]

FIRMWARE_ROOM = 32 << 20  # bytes at the end of low memory: the firmware's and the stub's, nobody else's
MAX_LOW = 3 << 30  # bytes: the most that the pc machine puts below 4 GiB whatever the size
