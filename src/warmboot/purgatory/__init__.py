"""The machine-code stubs: their built bytes, and the parameters that are written into them.

The sources are the .S files of this folder, `build` builds them. Every stub is position independent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from importlib import resources

__all__ = [
    "BLOCK",
    "DEMO_TABLE",
    "PURGATORY_REGION_COUNT",
    "REGIONS",
    "RELOCATE_RETURNED",
    "RELOCATE_STACK",
    "demo_kernel",
    "purgatory",
    "region_table",
    "stub",
]

BLOCK = 64  # bytes: digests are taken over whole SHA-256 blocks
REGIONS = 16  # ranges that one table has room for, as KEXEC_SEGMENT_MAX

RELOCATE_RETURNED = 16  # offset in the relocation code: where a preserve_context image returns to
RELOCATE_STACK = 1024  # bytes at the end of the control code page that the relocation code keeps for itself

_PARAMETERS = 16  # offset in the purgatory, see PARAMETERS in purgatory.S
_ENTRY_AND_DIGEST = struct.Struct("<QQ32s")
PURGATORY_REGION_COUNT = _PARAMETERS + _ENTRY_AND_DIGEST.size
DEMO_TABLE = 0x400 + 0x210  # offset in the demo kernel's file, see TABLE in demo_kernel.S


@cache
def stub(name: str) -> bytes:
    """The built bytes of the stub `name`: relocate_kernel, purgatory, demo_kernel, pvh_stub."""
    return resources.files(__name__).joinpath(f"{name}.bin").read_bytes()


def region_table(regions: Sequence[tuple[int, int]]) -> bytes:
    """A table of (physical address, bytes) ranges as the stubs read it; bytes are a multiple of BLOCK."""
    if len(regions) > REGIONS:
        raise ValueError(f"{len(regions)} ranges, a table holds {REGIONS}")
    packed = b"".join(struct.pack("<QQ", start, size) for start, size in regions)
    return struct.pack("<Q", len(regions)) + packed.ljust(16 * REGIONS, b"\0")


def _with(code: bytes, offset: int, parameters: bytes) -> bytes:
    return code[:offset] + parameters + code[offset + len(parameters) :]


def purgatory(
    *, kernel_entry: int, boot_params: int, sha256: bytes = bytes(32), regions: Sequence[tuple[int, int]] = ()
) -> bytes:
    """A purgatory that checks `regions` against `sha256` and enters `kernel_entry` with rsi = `boot_params`.

    Addresses are physical. Without regions nothing is checked.
    """
    parameters = _ENTRY_AND_DIGEST.pack(kernel_entry, boot_params, _as_words(sha256)) + region_table(regions)
    return _with(stub("purgatory"), _PARAMETERS, parameters)


def demo_kernel(regions: Sequence[tuple[int, int]] = ()) -> bytes:
    """The demo kernel's bzImage, which will report the SHA-256 of each of `regions`."""
    return _with(stub("demo_kernel"), DEMO_TABLE, region_table(regions))


def _as_words(digest: bytes) -> bytes:
    """A digest as the stubs keep it: eight little-endian words."""
    return struct.pack("<8I", *struct.unpack(">8I", digest))
