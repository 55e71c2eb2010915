"""What placement asks of a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from warmboot.memmap.entries import E820Entry
from warmboot.memmap.ranges import Range

__all__ = ["Host"]


class Host(Protocol):
    """A machine on which something is to be loaded; memmap.Facts is one. Addresses are physical."""

    @property
    def machine(self) -> str:
        """The architecture, as `uname -m` names it."""
        ...

    @property
    def system_ram(self) -> Sequence[Range]:
        """RAM, sorted."""
        ...

    @property
    def crash_kernel(self) -> Sequence[Range]:
        """What of it is reserved for crash kernels."""
        ...

    @property
    def e820(self) -> Sequence[E820Entry]:
        """The memory map that is passed to the new kernel."""
        ...

    @property
    def la57(self) -> bool:
        """Whether the running kernel uses 5-level page tables, with which the image is entered then."""
        ...

    @property
    def rsdp(self) -> int:
        """ACPI's root pointer, 0 where the new kernel has to search for it."""
        ...
