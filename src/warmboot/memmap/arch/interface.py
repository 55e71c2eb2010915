"""What the architecture says of a machine's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from warmboot.memmap.ranges import Range
from warmboot.memmap.reservation import CrashReservation

if TYPE_CHECKING:
    from warmboot.memmap.facts import Facts

__all__ = ["MemmapArch"]


class MemmapArch(Protocol):
    """One architecture."""

    @property
    def page_sizes(self) -> tuple[int, ...]:
        """The sizes of pages that its kernels can be built for, in bytes."""
        ...

    @property
    def physical_limit(self) -> int:
        """The first physical address that no processor of it has."""
        ...

    @property
    def never_free(self) -> Range:
        """Physical memory that its kernels never hand out; empty where there is none."""
        ...

    @property
    def crash_reservation(self) -> CrashReservation:
        """How its kernels reserve memory for a crash kernel."""
        ...

    def plain(self, memory: int, *, release: str, cpus: int, crashkernel: int, cmdline: str) -> Facts:
        """A plain machine with `memory` bytes of RAM, `crashkernel` bytes of them reserved.

        Raises InputError where no such machine can be, or the reservation does not fit.
        """
        ...
