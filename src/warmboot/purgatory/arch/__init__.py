"""What of the purgatory depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from warmboot.wings import wing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.purgatory.arch.interface import PurgatoryArch

__all__ = ["PurgatoryArch", "of"]


def of(machine: str) -> PurgatoryArch:
    """The purgatory of that architecture, as `uname -m` names it. Raises InputError where there is none."""
    arch: PurgatoryArch = wing(__name__, machine)
    return arch
