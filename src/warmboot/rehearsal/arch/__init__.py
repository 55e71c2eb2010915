"""What of a rehearsal depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from importlib import import_module

from warmboot.rehearsal.arch.interface import RehearsalArch

__all__ = ["RehearsalArch", "of"]


def of(machine: str) -> RehearsalArch:
    """The part of that architecture, as `uname -m` names it; of a machine that machines.arch knows."""
    arch: RehearsalArch = import_module(f"{__name__}.{machine}").ARCH
    return arch
