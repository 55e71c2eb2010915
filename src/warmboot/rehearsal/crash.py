"""What a crash kernel is told of a machine that is known by its facts alone."""

from __future__ import annotations

from warmboot.dump.facts import DumpFacts, KernelText
from warmboot.errors import RefusedError
from warmboot.memmap import E820Type, Facts, Range, subtract
from warmboot.placement.crash import CrashDump
from warmboot.rehearsal.arch import of
from warmboot.uapi import PAGE_SIZE

__all__ = ["crash_dump"]


def crash_dump(facts: Facts) -> CrashDump:
    """A dump of that machine: of its size, with one note a processor.

    Where notes, text and vmcoreinfo lie on the machine itself its facts do not tell; here they lie in RAM one after
    the other. Raises RefusedError where no memory is reserved for a crash kernel.
    """
    if not facts.crash_kernel:
        raise RefusedError(
            "no memory is reserved for a crash kernel",
            hint="reserve some: --crashkernel 256M, or crashkernel=256M on the running kernel's command line",
        )
    arch = of(facts.machine)
    at = facts.allocatable[0].start
    virtual, text = arch.kernel_text
    return CrashDump(
        DumpFacts(
            ram=tuple(subtract(facts.system_ram, facts.crash_kernel)),
            reserved=tuple(facts.crash_kernel),
            others=tuple(each for each in facts.e820 if each.type is not E820Type.RAM),
            notes=tuple(Range(at + n * PAGE_SIZE, at + n * PAGE_SIZE + 368) for n in range(1, facts.cpus + 1)),
            vmcoreinfo=Range(at, at + PAGE_SIZE),
            text=KernelText(virtual, text.start, text.size),
            page_offset=arch.direct_map,
        )
    )
