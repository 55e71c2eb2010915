"""A machine: physical memory as its facts tell it, with a running kernel on it."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.closing import Closing
from warmboot.kernel import Kernel, PhysicalMemory, Policy, Profile
from warmboot.memmap import Facts, Range, merge
from warmboot.uapi import PAGE_SIZE

__all__ = ["Machine"]

# Pages below this come first: the processor in this process translates such addresses by itself, and is fast there.
_NEAR = 1 << 40
# RAM that has memory behind it, in bytes, lowest first: a process has 128 TiB of addresses, and no image is as large.
_MOST = 16 << 40
_JOINED = 64 << 20  # bytes: over holes up to this, memory goes on in one piece


class Machine(Closing):
    """A machine like the one that `facts` describe. It is gone when it is closed, or its `with` block ends.

    Its memory is the RAM of the facts, or `banks`: physical ranges, in whole pages; or `memory`, which is closed with
    the machine. The kernel knows all RAM of the facts, and hands out pages where there is memory, those below the
    physical address `below` first.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        banks: Sequence[Range] | None = None,
        memory: PhysicalMemory | None = None,
        below: int = _NEAR,
        profile: Profile | None = None,
        policy: Policy = Policy.CONTIGUOUS,
        seed: int = 0,
    ) -> None:
        self.facts = facts
        self.memory: PhysicalMemory = memory or PhysicalMemory(_banks(facts) if banks is None else banks)
        try:
            self.kernel: Kernel = Kernel(facts, self.memory, profile=profile, policy=policy, seed=seed, below=below)
        except BaseException:
            self.memory.close()
            raise

    @classmethod
    def of_pc(cls, memory: int, *, cpus: int = 2, crashkernel: int = 0, policy: Policy = Policy.CONTIGUOUS) -> Machine:
        """A plain PC with `memory` bytes of RAM, whose kernel reserved `crashkernel` bytes."""
        return cls(Facts.of_pc(memory, cpus=cpus, crashkernel=crashkernel), policy=policy)

    def close(self) -> None:
        """Give the memory back to this computer."""
        self.memory.close()


def _banks(facts: Facts) -> list[Range]:
    """Where there is memory: from 0 on, and wherever there is RAM."""
    banks, left = [Range(0, PAGE_SIZE)], _MOST
    for ram in merge(facts.system_ram):
        start = ram.start // PAGE_SIZE * PAGE_SIZE
        end = min(-(-ram.end // PAGE_SIZE) * PAGE_SIZE, start + left)
        if start - banks[-1].end <= _JOINED:
            banks[-1] = Range(banks[-1].start, max(end, banks[-1].end))
        elif end > start:
            banks.append(Range(start, end))
        left -= end - start
    return banks
