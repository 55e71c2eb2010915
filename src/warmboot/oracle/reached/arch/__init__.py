"""What of reading machine code depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from importlib import import_module

from warmboot.oracle.reached.arch.interface import CodeArch, Flow

__all__ = ["CodeArch", "Flow", "of"]


def of(machine: str) -> CodeArch:
    """The code of that architecture, as `uname -m` names it; of a machine that machines.arch knows."""
    arch: CodeArch = import_module(f"{__name__}.{machine}").ARCH
    return arch
