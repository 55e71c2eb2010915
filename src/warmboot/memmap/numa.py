"""NUMA nodes: which processors and which memory of a machine are near one another."""

from __future__ import annotations

from warmboot.memmap.ranges import Range
from warmboot.records import dataclass

__all__ = ["NumaNode"]


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A node by its number, its processors' numbers, and its physical memory, sorted; empty where that is not known."""

    node: int
    cpus: tuple[int, ...]
    memory: tuple[Range, ...] = ()
