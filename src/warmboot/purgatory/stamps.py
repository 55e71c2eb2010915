"""What a load hands on to the next kernel's user space: who loaded it, and room for the purgatory's time stamps.

It lies in a node of x86's setup_data list, of a type that Linux does not know: it keeps such nodes as they are, and
shows them in /sys/kernel/boot_params/setup_data. All numbers are little-endian:

    0   "WBSTAMP1"
    8   16 bytes  load id
    24  16 bytes  boot id of the kernel that loaded
    40  u64       time of the load, Unix nanoseconds
    48  u64       the time stamp counter then, 0 if unknown
    56  u64       0
    64  16 u64    the time stamp counter at each stage of `record.Stage`, by its number; 0: it was not come to
"""

from __future__ import annotations

import struct

from warmboot.records import dataclass, field

__all__ = ["STAMPS_OFFSET", "STAMPS_SIZE", "STAMPS_TYPE", "Stamps", "parse_stamps"]

STAMPS_TYPE = 0x5453_4257  # "WBST": far from what Linux gives out one by one, and without SETUP_INDIRECT's bit 31
STAMPS_OFFSET = 64  # of the stages' counters in the node
_HEAD, _STAGES = struct.Struct("<8s16s16sQQQ"), struct.Struct("<16Q")
STAMPS_SIZE = _HEAD.size + _STAGES.size  # bytes
_MAGIC = b"WBSTAMP1"


@dataclass(frozen=True, slots=True)
class Stamps:
    """A node. `loaded_at` is Unix time in nanoseconds, `counter` the time stamp counter then, 0 if unknown.

    `stages` are counters by the number of the stage, those alone that were come to.
    """

    load_id: bytes
    boot_id: bytes
    loaded_at: int = 0
    counter: int = 0
    stages: dict[int, int] = field(default_factory=dict)

    def pack(self) -> bytes:
        """STAMPS_SIZE bytes."""
        head = _HEAD.pack(_MAGIC, self.load_id, self.boot_id, self.loaded_at, self.counter, 0)
        return head + _STAGES.pack(*(self.stages.get(number, 0) for number in range(16)))


def parse_stamps(data: bytes) -> Stamps | None:
    """The node that `data` is, None for anything else."""
    if len(data) < STAMPS_SIZE or not data.startswith(_MAGIC):
        return None
    _, load_id, boot_id, loaded_at, counter, _ = _HEAD.unpack_from(data)
    stages = {number: each for number, each in enumerate(_STAGES.unpack_from(data, STAMPS_OFFSET)) if each}
    return Stamps(load_id, boot_id, loaded_at, counter, stages)
