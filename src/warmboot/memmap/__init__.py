"""Physical addresses: ranges, memory maps, and the facts of a machine."""

from warmboot.memmap.e820 import E820Entry, E820Type, e820_of_iomem
from warmboot.memmap.facts import Facts, parse_size
from warmboot.memmap.iomem import Resource, parse_iomem
from warmboot.memmap.ranges import Range, merge, subtract, whole

__all__ = [
    "E820Entry",
    "E820Type",
    "Facts",
    "Range",
    "Resource",
    "e820_of_iomem",
    "merge",
    "parse_iomem",
    "parse_size",
    "subtract",
    "whole",
]
