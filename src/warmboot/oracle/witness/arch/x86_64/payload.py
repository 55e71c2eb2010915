"""The witness itself: a payload of our own that notes how it was entered; see witness.S."""

from __future__ import annotations

from warmboot.stubs.stub import stub

__all__ = ["WITNESS_SCRATCH", "WITNESS_SIZE", "WITNESS_TABLE", "witness_code"]

WITNESS_TABLE = 16  # offset of its table in bytes
WITNESS_SCRATCH = 0x8000  # offset of the page that it writes to, in bytes
WITNESS_SIZE = WITNESS_SCRATCH + 4096  # bytes of memory that it takes


def witness_code() -> bytes:
    """Its built bytes."""
    return stub(__file__, "witness")
