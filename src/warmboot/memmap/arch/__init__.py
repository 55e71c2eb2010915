"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from warmboot.errors import InputError
from warmboot.memmap.arch.interface import MemmapArch
from warmboot.visible import visible

__all__ = ["DEFAULT", "MemmapArch", "names", "of"]

DEFAULT = "x86_64"  # of machines that nobody has described


def of(machine: str) -> MemmapArch:
    """What that architecture, as `uname -m` names it, says of memory. Raises InputError where there is none."""
    arch = _found(machine)
    if arch is None:
        raise InputError(
            f"machine is '{visible(machine, most=40)}', only {', '.join(names())} is known",
            hint="write the facts with 'warmboot facts' on the machine, as root",
        )
    return arch


@cache
def names() -> tuple[str, ...]:
    """The architectures that are known, as `uname -m` names them."""
    return tuple(sorted(each.parent.name for each in Path(__file__).parent.glob("*/__init__.py")))


def _found(machine: str) -> MemmapArch | None:
    if machine not in names():
        return None
    arch: MemmapArch = import_module(f"{__name__}.{machine}").ARCH
    return arch
