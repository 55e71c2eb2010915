"""What depends on the architecture, one folder each, named as `uname -m` does."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from warmboot.errors import InputError
from warmboot.machines.arch.interface import (
    Accel,
    Board,
    Computer,
    Emulation,
    FirmwareTold,
    MachineArch,
    Mailbox,
    Probe,
    Translate,
)

__all__ = [
    "DEFAULT",
    "Accel",
    "Board",
    "Computer",
    "Emulation",
    "FirmwareTold",
    "MachineArch",
    "Mailbox",
    "Probe",
    "Translate",
    "of",
]

DEFAULT = "x86_64"  # of guests that are started without facts


def of(machine: str) -> MachineArch:
    """The machines of that architecture, as `uname -m` names it. Raises InputError where there are none."""
    known = sorted(each.parent.name for each in Path(__file__).parent.glob("*/__init__.py"))
    if machine not in known:
        raise InputError(f"{machine!r}: no such architecture", hint=f"these are known: {', '.join(known)}")
    arch: MachineArch = import_module(f"{__name__}.{machine}").ARCH
    return arch
