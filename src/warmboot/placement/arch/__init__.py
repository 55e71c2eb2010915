"""What of placement depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from warmboot.wings import wing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.placement.arch.interface import PlacementArch

__all__ = ["PlacementArch", "of"]


def of(machine: str) -> PlacementArch:
    """The part of that architecture, as `uname -m` names it. Raises InputError where there is none."""
    arch: PlacementArch = wing(__name__, machine)
    return arch
