"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from warmboot.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.placement.arch.interface import PlacementArch

__all__ = ["of"]

_KNOWN = ("x86_64",)


def of(machine: str) -> PlacementArch:
    """How images are placed on that architecture, as `uname -m` names it. Raises InputError where that is not known."""
    if machine not in _KNOWN:
        raise InputError(f"{machine!r}: no such architecture", hint=f"these are known: {', '.join(_KNOWN)}")
    arch: PlacementArch = __import__(f"{__name__}.{machine}", fromlist=["ARCH"]).ARCH
    return arch
