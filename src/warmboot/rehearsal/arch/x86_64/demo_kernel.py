"""The demo kernel: a bzImage of our own that reports what it finds."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.stubs.regions import region_table
from warmboot.stubs.stub import stub

__all__ = ["DEMO_TABLE", "demo_kernel"]

DEMO_TABLE = 0x400 + 0x210  # offset in the demo kernel's file, see TABLE in demo_kernel.S


def demo_kernel(regions: Sequence[tuple[int, int]] = ()) -> bytes:
    """The demo kernel's bzImage, which will report the SHA-256 of each of `regions`."""
    code, table = stub(__file__, "demo_kernel"), region_table(regions)
    return code[:DEMO_TABLE] + table + code[DEMO_TABLE + len(table) :]
