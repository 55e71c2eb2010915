"""A crash kernel's dump: what is asked for, and the parts that it takes of a crash image."""

from __future__ import annotations

from warmboot.dump.facts import DumpFacts
from warmboot.memmap.entries import E820Entry
from warmboot.memmap.ranges import Range
from warmboot.purgatory.parameters import Backup
from warmboot.records import dataclass
from warmboot.uapi import KexecFlags, Segment

__all__ = ["CrashDump", "CrashPlan"]


@dataclass(frozen=True, slots=True)
class CrashDump:
    """What is asked for: a dump of this machine.

    `hotplug`: the kernel may rewrite the headers when processors or memory come and go (since 6.6).
    `pass_memmap`: the memory map goes on the command line instead of the e820 map.
    """

    facts: DumpFacts
    hotplug: bool = False
    pass_memmap: bool = False

    @property
    def load_range(self) -> Range:
        """Where a crash image may lie (physical): the highest reservation, as the kernel refuses any other."""
        return self.facts.reserved[-1]


@dataclass(frozen=True, slots=True)
class CrashPlan:
    """The parts of one crash image besides the kernel's own."""

    headers: Segment
    saved: Segment | None  # room for `backup`; it is filled after the digests were checked, and needs none
    backup: Backup | None  # for the purgatory
    e820: tuple[E820Entry, ...]  # for the zero page; empty where the command line replaces it
    command_line: str  # parameters to be added to the user's
    flags: KexecFlags
    digest_headers: bool  # False where the kernel may rewrite them

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What goes into the request beside kernel, parameters, initrd and purgatory."""
        return (self.headers,) if self.saved is None else (self.headers, self.saved)
