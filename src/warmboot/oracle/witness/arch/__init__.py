"""What of the witness depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from importlib import import_module

from warmboot.oracle.witness.arch.interface import ReportRules, WitnessArch

__all__ = ["ReportRules", "WitnessArch", "of"]


def of(machine: str) -> WitnessArch:
    """The witness of that architecture, as `uname -m` names it; of a machine that machines.arch knows."""
    arch: WitnessArch = import_module(f"{__name__}.{machine}").ARCH
    return arch
