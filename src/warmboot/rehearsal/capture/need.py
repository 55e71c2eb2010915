"""What a capture kernel's memory went to, from what it says of it."""

from __future__ import annotations

from warmboot.crash_figures import NeedFigures
from warmboot.rehearsal.capture.told import Memory

__all__ = ["need_figures"]


def need_figures(memory: Memory, reserved: int, packed: int) -> NeedFigures | None:
    """The figures of a capture kernel that had `reserved` bytes, and an initrd of `packed` ones; None where it has not
    said enough.

    An initrd is in memory twice while it is unpacked, before there is anybody to look: that moment is reckoned. From
    then on what counts is MemAvailable, which leaves out the caches that can be given up.
    """
    start = memory.at_start
    total, free, available = (start.get(each, 0) for each in ("MemTotal", "MemFree", "MemAvailable"))
    if not total or not 0 < total <= reserved:
        return None
    least = available if memory.least_available is None else min(available, memory.least_available)
    unpacked = start.get("Cached", 0)
    page_tables, slab = start.get("PageTables", 0), start.get("Slab", 0)
    while_unpacking = reserved - free + packed
    return NeedFigures(
        reserved=reserved,
        kernel=reserved - total,
        packed=packed,
        unpacked=unpacked,
        page_tables=page_tables,
        slab=slab,
        others=max(0, total - free - unpacked - page_tables - slab),
        user_peak=max(0, available - least),
        peak=min(reserved, max(while_unpacking, reserved - least)),
    )
