"""warmboot: kexec in Python.

The names below are loaded when they are first used, so that a program that needs one of them does not pay for all.
"""

from __future__ import annotations

from warmboot.lazy import lazy
from warmboot.version import __version__

TYPE_CHECKING = False  # importing typing would cost a third of the start of `kexec --version`
if TYPE_CHECKING:
    from warmboot.dump.dump import Dump, open_dump
    from warmboot.dump.interface import DumpError
    from warmboot.errors import InputError, RefusedError, WarmbootError
    from warmboot.explain import Diagnosis, diagnose
    from warmboot.images import BzImage, identify, map_file
    from warmboot.kernel import Kernel, KexecError, Policy
    from warmboot.machines.machine import Machine
    from warmboot.memmap import Facts
    from warmboot.placement import Placement, PlaceOptions, place
    from warmboot.rehearsal.handover import HandOver, hand_over
    from warmboot.rehearsal.options import Options
    from warmboot.rehearsal.rehearse import rehearse
    from warmboot.stages import Result
    from warmboot.uapi import LoadRequest, Segment

_HOMES = {
    "BzImage": "images",
    "Diagnosis": "explain.findings",
    "Dump": "dump.dump",
    "DumpError": "dump.interface",
    "Facts": "memmap",
    "HandOver": "rehearsal.handover",
    "InputError": "errors",
    "Kernel": "kernel",
    "KexecError": "kernel",
    "LoadRequest": "uapi",
    "Machine": "machines.machine",
    "PlaceOptions": "placement",
    "Placement": "placement",
    "Options": "rehearsal.options",
    "Policy": "kernel",
    "RefusedError": "errors",
    "Result": "stages",
    "Segment": "uapi",
    "WarmbootError": "errors",
    "diagnose": "explain.judge",
    "hand_over": "rehearsal.handover",
    "identify": "images",
    "map_file": "images",
    "open_dump": "dump.dump",
    "place": "placement",
    "rehearse": "rehearsal.rehearse",
}

__all__ = [
    "BzImage",
    "Diagnosis",
    "Dump",
    "DumpError",
    "Facts",
    "HandOver",
    "InputError",
    "Kernel",
    "KexecError",
    "LoadRequest",
    "Machine",
    "Options",
    "PlaceOptions",
    "Placement",
    "Policy",
    "RefusedError",
    "Result",
    "Segment",
    "WarmbootError",
    "__version__",
    "diagnose",
    "hand_over",
    "identify",
    "map_file",
    "open_dump",
    "place",
    "rehearse",
]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)
