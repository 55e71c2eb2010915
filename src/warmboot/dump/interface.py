"""What readers of a dump stand on: the machine's memory as the dump holds it, and what Linux says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from warmboot.errors import ExitStatus, WarmbootError

if TYPE_CHECKING:
    from warmboot.dump.vmcoreinfo import Vmcoreinfo
    from warmboot.memmap.range_set import RangeSet

__all__ = ["DumpError", "Memory", "NoDumpError"]


class DumpError(WarmbootError):
    """A dump that cannot be read there: the message names file, offset or address, and what was expected."""


class NoDumpError(DumpError):
    """A file that cannot be opened, or that is no dump at all: unusable input."""

    exit_status = ExitStatus.USAGE


class Memory(Protocol):
    """Memory of the machine that was dumped. Addresses and sizes are in bytes.

    Every reader (log, symbols, types, tasks) takes this and nothing of the file's format.
    """

    @property
    def machine(self) -> str:
        """The architecture, as `uname -m` names it."""

    @property
    def ranges(self) -> RangeSet:
        """The physical addresses whose bytes the dump holds."""

    @property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """What Linux notes of itself in the VMCOREINFO note."""

    def physical(self, address: int, size: int) -> bytes:
        """`size` bytes at a physical address. Raises DumpError where the dump has not all of them."""

    def virtual(self, address: int, size: int) -> bytes:
        """`size` bytes at a kernel virtual address. Raises DumpError where it is not mapped or not in the dump."""
