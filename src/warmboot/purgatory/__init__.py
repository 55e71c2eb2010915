"""The machine-code stubs: their built bytes, and the parameters that are written into them.

The sources are the .S files of this folder, `build` builds them. Every stub is position independent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from warmboot.purgatory.parameters import (
    JUMP_BACK_TEXT_SIZE,
    PURGATORY_REGION_COUNT,
    Backup,
    Console,
    Entry,
    Region,
    purgatory,
    purgatory_size,
)
from warmboot.purgatory.stubs import stub

__all__ = [
    "BLOCK",
    "DEMO_TABLE",
    "JUMP_BACK_TEXT_SIZE",
    "PURGATORY_REGION_COUNT",
    "REGIONS",
    "RELOCATE_RETURNED",
    "RELOCATE_STACK",
    "WITNESS_SCRATCH",
    "WITNESS_SIZE",
    "WITNESS_TABLE",
    "Backup",
    "Console",
    "Entry",
    "Region",
    "demo_kernel",
    "purgatory",
    "purgatory_size",
    "region_table",
    "stub",
]

BLOCK = 64  # bytes: digests are taken over whole SHA-256 blocks
REGIONS = 16  # ranges that the table of a payload has room for, as KEXEC_SEGMENT_MAX

RELOCATE_RETURNED = 16  # offset in the relocation code: where a preserve_context image returns to
RELOCATE_STACK = 1024  # bytes at the end of the control code page that the relocation code keeps for itself

DEMO_TABLE = 0x400 + 0x210  # offset in the demo kernel's file, see TABLE in demo_kernel.S

# The witness: its table, the page that it writes to, and how much memory it takes, in bytes; see witness.S.
WITNESS_TABLE = 16
WITNESS_SCRATCH = 0x8000
WITNESS_SIZE = WITNESS_SCRATCH + 4096


def region_table(regions: Sequence[tuple[int, int]]) -> bytes:
    """A table of (physical address, bytes) ranges as the stubs read it; bytes are a multiple of BLOCK."""
    if len(regions) > REGIONS:
        raise ValueError(f"{len(regions)} ranges, a table holds {REGIONS}")
    packed = b"".join(struct.pack("<QQ", start, size) for start, size in regions)
    return struct.pack("<Q", len(regions)) + packed.ljust(16 * REGIONS, b"\0")


def _with(code: bytes, offset: int, parameters: bytes) -> bytes:
    return code[:offset] + parameters + code[offset + len(parameters) :]


def demo_kernel(regions: Sequence[tuple[int, int]] = ()) -> bytes:
    """The demo kernel's bzImage, which will report the SHA-256 of each of `regions`."""
    return _with(stub("demo_kernel"), DEMO_TABLE, region_table(regions))
