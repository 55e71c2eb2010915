"""What placement asks of an architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from warmboot.images.image import PlainImage
from warmboot.placement.crash import CrashDump, CrashPlan
from warmboot.placement.layout import Layout, Placement
from warmboot.placement.space import Space
from warmboot.placement.wanted import Wanted

__all__ = ["PlacementArch"]


class PlacementArch(Protocol):
    """One architecture's part."""

    @property
    def kexec_arch(self) -> int:
        """Its number in the flags of kexec_load: a KexecArch."""
        ...

    def place(self, image: PlainImage, wanted: Wanted, layout: Callable[[Wanted], Layout]) -> Placement:
        """Place an image, whatever its format, on a fresh layout. Raises as placement.place."""
        ...

    def linux_command_line(self, image: PlainImage, command_line: str) -> tuple[str, int] | None:
        """See placement.linux_command_line."""
        ...

    def plan_crash(self, dump: CrashDump, space: Space, *, acpi_rsdp: int = 0) -> CrashPlan:
        """Take room for what a dump needs. `acpi_rsdp` (physical) is told to the crash kernel unless it is 0.

        Raises RefusedError.
        """
        ...
