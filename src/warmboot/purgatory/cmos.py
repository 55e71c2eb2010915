"""The black box's marks in CMOS memory: eight bytes that neither PC firmware nor Linux is known to use, 0x70 to 0x77.

They are a magic number, the stage, the number of the piece that differs (16 bits, the first is 1), the vector of an
exception + 1, the first two bytes of the load id, and what makes the sum of all eight 0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from warmboot.purgatory.record import Stage

__all__ = ["CMOS_AT", "CMOS_SIZE", "CmosMarks", "parse_cmos"]

CMOS_AT, CMOS_SIZE = 0x70, 8  # bytes of CMOS memory
_MAGIC = 0xB5
_MARKS = struct.Struct("<BBHB2sB")


@dataclass(frozen=True, slots=True)
class CmosMarks:
    """How far it came; `piece` is 0 where none differs, `vector` None without an exception."""

    stage: Stage
    piece: int
    vector: int | None
    load_id: bytes  # the first two of its 16


def parse_cmos(data: bytes) -> CmosMarks | None:
    """The marks in CMOS_SIZE bytes, or None where there are none."""
    if len(data) != CMOS_SIZE or data[0] != _MAGIC or sum(data) & 0xFF:
        return None
    _, stage, piece, vector, load_id, _ = _MARKS.unpack(data)
    if stage not in Stage.__members__.values():
        return None
    return CmosMarks(Stage(stage), piece, vector - 1 if vector else None, load_id)
