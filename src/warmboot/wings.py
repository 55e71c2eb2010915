"""The wing of a room that an architecture has: `ROOM/arch/<uname -m>`, whose package holds ARCH."""

from __future__ import annotations

import os
import sys

from warmboot.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["wing"]


def wing(package: str, machine: str) -> Any:  # noqa: ANN401 - each room's `of` says what its wings are
    """ARCH of the package `machine` in `package`, imported when it is first asked for.

    Raises InputError for an architecture that the room has no wing of.
    """
    name = f"{package}.{machine}"
    arch = getattr(sys.modules.get(name), "ARCH", None)
    if arch is not None:
        return arch
    known = _known(package)
    if machine not in known:
        raise InputError(f"{machine!r}: no such architecture", hint=f"these are known: {', '.join(known)}")
    return __import__(name, fromlist=["ARCH"]).ARCH


def _known(package: str) -> list[str]:
    [folder] = sys.modules[package].__path__
    # A capture initrd has byte code alone.
    names = ("__init__.py", "__init__.pyc")
    return sorted(each for each in os.listdir(folder) if any(os.path.isfile(f"{folder}/{each}/{one}") for one in names))  # noqa: PTH113, PTH208
