"""warmboot: kexec in Python.

The names below are loaded when they are first used, so that a program that needs one of them does not pay for all.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would cost a third of the start of `kexec --version`
if TYPE_CHECKING:
    from typing import Any

    from warmboot.errors import InputError, RefusedError, WarmbootError
    from warmboot.handover import HandOver, hand_over
    from warmboot.images import BzImage, identify, map_file
    from warmboot.kernel import Kernel, KexecError, Policy
    from warmboot.machines.machine import Machine
    from warmboot.memmap import Facts
    from warmboot.placement import Placement, place
    from warmboot.uapi import LoadRequest, Segment

__version__ = "0.1.0"

_HOMES = {
    "BzImage": "images",
    "Facts": "memmap",
    "HandOver": "handover",
    "InputError": "errors",
    "Kernel": "kernel",
    "KexecError": "kernel",
    "LoadRequest": "uapi",
    "Machine": "machines.machine",
    "Placement": "placement",
    "Policy": "kernel",
    "RefusedError": "errors",
    "Segment": "uapi",
    "WarmbootError": "errors",
    "hand_over": "handover",
    "identify": "images",
    "map_file": "images",
    "place": "placement",
}

__all__ = [
    "BzImage",
    "Facts",
    "HandOver",
    "InputError",
    "Kernel",
    "KexecError",
    "LoadRequest",
    "Machine",
    "Placement",
    "Policy",
    "RefusedError",
    "Segment",
    "WarmbootError",
    "__version__",
    "hand_over",
    "identify",
    "map_file",
    "place",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module's attribute can be anything
    if name not in _HOMES:
        raise AttributeError(f"module 'warmboot' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only a program that asks pays for it

    return getattr(import_module(f"warmboot.{_HOMES[name]}"), name)
