"""How an architecture's kernels reserve memory for a crash kernel: the numbers of its asm/crash_reserve.h."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CrashReservation"]


class CrashReservation(NamedTuple):
    """In bytes; addresses are physical, the first that a reservation may not have."""

    align: int  # CRASH_ALIGN
    low_max: int  # CRASH_ADDR_LOW_MAX
    high_max: int  # CRASH_ADDR_HIGH_MAX
    low_size: int  # crash_low_size_default: what is reserved below low_max with a reservation above it
