"""A machine: physical memory as its facts tell it, with a running kernel on it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from warmboot.errors import RefusedError
from warmboot.kernel import Kernel, PhysicalMemory, Policy, Profile
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM, MAX_LOW
from warmboot.memmap import Facts, Range
from warmboot.uapi import PAGE_SIZE

__all__ = ["Machine"]

_4G = 1 << 32


class Machine:
    """A machine like the one that `facts` describe. It is gone when it is closed, or its `with` block ends.

    Its memory has two banks, as a PC's: from 0, and from 4 GiB. The last FIRMWARE_ROOM bytes of the first are
    reserved in `facts` (the machine's own may differ from those given by this): behind the last RAM where that
    leaves it below 3 GiB, else taken from it.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        profile: Profile | None = None,
        policy: Policy = Policy.CONTIGUOUS,
        seed: int = 0,
    ) -> None:
        self.firmware_room = self.firmware_room_of(facts)
        self.facts = facts.reserve(self.firmware_room)
        high = max((each.end for each in facts.system_ram), default=0)
        high = max(_4G, -(-high // PAGE_SIZE) * PAGE_SIZE)
        if any(each.start < _4G < each.end for each in facts.system_ram):
            raise RefusedError("facts: RAM that passes 4 GiB in one piece", hint="no PC is like that: check iomem")
        self.memory = PhysicalMemory([Range(0, self.firmware_room.end), Range(_4G, high)])
        try:
            self.kernel = Kernel(self.facts, self.memory, profile=profile, policy=policy, seed=seed)
        except BaseException:
            self.memory.close()
            raise

    @classmethod
    def of_pc(cls, memory: int, *, cpus: int = 2, crashkernel: int = 0, policy: Policy = Policy.CONTIGUOUS) -> Machine:
        """A plain PC with `memory` bytes of RAM, whose kernel reserved `crashkernel` bytes."""
        return cls(Facts.of_pc(memory, cpus=cpus, crashkernel=crashkernel), policy=policy)

    @staticmethod
    def firmware_room_of(facts: Facts) -> Range:
        """Where the firmware's room will be on a machine like that, physical."""
        low_ram = max((each.end for each in facts.system_ram if each.end <= _4G), default=0)
        low_ram = -(-low_ram // PAGE_SIZE) * PAGE_SIZE
        start = low_ram if low_ram + FIRMWARE_ROOM <= MAX_LOW else low_ram - FIRMWARE_ROOM
        return Range(start, start + FIRMWARE_ROOM)

    @property
    def low(self) -> int:
        """Bytes below 4 GiB, the firmware's room included."""
        return self.firmware_room.end

    @property
    def high(self) -> int:
        """Bytes from 4 GiB on."""
        return self.memory.size - self.low

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back to this computer."""
        self.memory.close()
