"""Physical addresses: ranges, memory maps, the facts of a machine, and what its firmware left behind.

Each name is loaded when it is first used: who places a kernel does not pay for JSON.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.memmap.e820 import E820Entry, E820Type, e820_of_iomem
    from warmboot.memmap.facts import Facts, parse_size
    from warmboot.memmap.firmware import Efi, EfiMemoryDescriptor, Firmware, FrameBuffer
    from warmboot.memmap.iomem import Resource, parse_iomem
    from warmboot.memmap.ranges import Range, merge, subtract, whole

_HOMES = {
    "E820Entry": "e820",
    "E820Type": "e820",
    "Efi": "firmware",
    "EfiMemoryDescriptor": "firmware",
    "Facts": "facts",
    "Firmware": "firmware",
    "FrameBuffer": "firmware",
    "Range": "ranges",
    "Resource": "iomem",
    "e820_of_iomem": "e820",
    "merge": "ranges",
    "parse_iomem": "iomem",
    "parse_size": "facts",
    "subtract": "ranges",
    "whole": "ranges",
}

__all__ = [
    "E820Entry",
    "E820Type",
    "Efi",
    "EfiMemoryDescriptor",
    "Facts",
    "Firmware",
    "FrameBuffer",
    "Range",
    "Resource",
    "e820_of_iomem",
    "merge",
    "parse_iomem",
    "parse_size",
    "subtract",
    "whole",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'warmboot.memmap' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value: object = getattr(import_module(f"warmboot.memmap.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
