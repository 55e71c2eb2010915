"""The table of memory ranges that a payload of ours digests: the demo kernel and the witness."""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["BLOCK", "REGIONS", "region_table"]

BLOCK = 64  # bytes: digests are taken over whole SHA-256 blocks
REGIONS = 16  # ranges that the table of a payload has room for, as KEXEC_SEGMENT_MAX


def region_table(regions: Sequence[tuple[int, int]]) -> bytes:
    """A table of (physical address, bytes) ranges as the stubs read it; bytes are a multiple of BLOCK."""
    if len(regions) > REGIONS:
        raise ValueError(f"{len(regions)} ranges, a table holds {REGIONS}")
    packed = b"".join(struct.pack("<QQ", start, size) for start, size in regions)
    return struct.pack("<Q", len(regions)) + packed.ljust(16 * REGIONS, b"\0")
