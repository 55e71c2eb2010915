"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from warmboot.dump.arch.interface import DumpArch
from warmboot.wings import wing

__all__ = ["DumpArch", "of"]


def of(machine: str) -> DumpArch:
    """What dumps of that architecture need, named as `uname -m` does. Raises InputError where there is none."""
    arch: DumpArch = wing(__name__, machine)
    return arch
