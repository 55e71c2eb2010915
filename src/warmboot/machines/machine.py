"""A machine: physical memory as its facts tell it, with a running kernel on it."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.closing import Closing
from warmboot.kernel import Kernel, PhysicalMemory, Policy, Profile
from warmboot.memmap import Facts, Range

__all__ = ["Machine"]

# Pages below this come first: the processor in this process translates such addresses by itself, and is fast there.
_NEAR = 1 << 40


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
        self.memory: PhysicalMemory = memory or (PhysicalMemory.of(facts) if banks is None else PhysicalMemory(banks))
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
