"""x86_64."""

from __future__ import annotations

from warmboot.placement.arch.x86_64.formats import command_line_size, place
from warmboot.purgatory import of as purgatory_of
from warmboot.uapi import KexecArch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.placement.arch.interface import PlacementArch
    from warmboot.purgatory.arch import PurgatoryArch

__all__ = ["ARCH"]


class _X86:
    """See PlacementArch."""

    kexec_arch = KexecArch.X86_64
    place = staticmethod(place)
    command_line_size = staticmethod(command_line_size)

    @property
    def purgatory(self) -> PurgatoryArch:
        return purgatory_of("x86_64")


ARCH: PlacementArch = _X86()
