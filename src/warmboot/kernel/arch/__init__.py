"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from warmboot.errors import InputError
from warmboot.kernel.arch.interface import FileLoader, KernelArch, MachineKexec

# A processor's state at a hand-over. With a second architecture this becomes what theirs have in common.
from warmboot.kernel.arch.x86_64.cpu import CpuState
from warmboot.visible import visible

__all__ = ["CpuState", "FileLoader", "KernelArch", "MachineKexec", "of"]


def of(machine: str) -> KernelArch:
    """The kernel's part for that architecture, as `uname -m` names it. Raises InputError where there is none."""
    known = _known()
    if machine not in known:
        raise InputError(
            f"'{visible(machine, most=40)}': no such architecture", hint=f"these are known: {', '.join(known)}"
        )
    arch: KernelArch = import_module(f"{__name__}.{machine}").ARCH
    return arch


@cache
def _known() -> list[str]:
    return sorted(each.parent.name for each in Path(__file__).parent.glob("*/__init__.py"))
