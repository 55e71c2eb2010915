"""Physical addresses: ranges, memory maps, the facts of a machine, and what its firmware left behind.

Each name is loaded when it is first used: who places a kernel does not pay for JSON.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.memmap.entries import E820Entry, E820Type, e820_of_iomem
    from warmboot.memmap.facts import Facts, parse_size
    from warmboot.memmap.firmware import Efi, EfiMemoryDescriptor, Firmware, FrameBuffer
    from warmboot.memmap.iomem import Resource, parse_iomem
    from warmboot.memmap.numa import NumaNode
    from warmboot.memmap.ranges import Range, merge, subtract, whole

_HOMES = {
    "E820Entry": "memmap.entries",
    "E820Type": "memmap.entries",
    "Efi": "memmap.firmware",
    "EfiMemoryDescriptor": "memmap.firmware",
    "Facts": "memmap.facts",
    "Firmware": "memmap.firmware",
    "FrameBuffer": "memmap.firmware",
    "NumaNode": "memmap.numa",
    "Range": "memmap.ranges",
    "Resource": "memmap.iomem",
    "e820_of_iomem": "memmap.entries",
    "merge": "memmap.ranges",
    "parse_iomem": "memmap.iomem",
    "parse_size": "memmap.facts",
    "subtract": "memmap.ranges",
    "whole": "memmap.ranges",
}

__all__ = [
    "E820Entry",
    "E820Type",
    "Efi",
    "EfiMemoryDescriptor",
    "Facts",
    "Firmware",
    "FrameBuffer",
    "NumaNode",
    "Range",
    "Resource",
    "e820_of_iomem",
    "merge",
    "parse_iomem",
    "parse_size",
    "subtract",
    "whole",
]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)
