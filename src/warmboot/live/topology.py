"""NUMA nodes and the width of physical addresses, as the running kernel tells them."""

from __future__ import annotations

import re

from warmboot.live.files import folder, text, under
from warmboot.memmap.numa import NumaNode
from warmboot.memmap.ranges import Range, merge
from warmboot.numbers import number

__all__ = ["numa_nodes", "physical_address_bits"]

_NODES = "sys/devices/system/node"
_MOST_CPUS = 1 << 16  # more than NR_CPUS can be


def numa_nodes(root: str = "/") -> tuple[NumaNode, ...] | None:
    """The nodes by number; None where the kernel tells of none (CONFIG_NUMA).

    Memory is known with CONFIG_MEMORY_HOTPLUG, to whole blocks of 128 MiB and more.
    """
    base = under(root, _NODES)
    numbers = sorted(found for name in folder(base) if (found := _numbered(name, "node")) is not None)
    block = number(text(under(root, "sys/devices/system/memory/block_size_bytes")) or "", 16)
    nodes = []
    for each in numbers:
        cpus = _cpu_list(text(f"{base}/node{each}/cpulist") or "")
        if cpus is None:
            return None
        blocks = [found for name in folder(f"{base}/node{each}") if (found := _numbered(name, "memory")) is not None]
        memory = merge(Range(at * block, (at + 1) * block) for at in blocks) if block else []
        nodes.append(NumaNode(each, cpus, tuple(memory)))
    return tuple(nodes) or None


def physical_address_bits(cpuinfo: str) -> int | None:
    """Bits of the first processor's physical addresses, by the text of /proc/cpuinfo."""
    match = re.search(r"^address sizes\s*: ([0-9]+) bits physical", cpuinfo, re.MULTILINE)
    return number(match[1], least=32, most=64) if match else None


def _numbered(name: str, word: str) -> int | None:
    return number(name.removeprefix(word), most=(1 << 40)) if name.startswith(word) else None


def _cpu_list(listed: str) -> tuple[int, ...] | None:
    """The processors of a list such as 0-3,8 (bitmap_parselist's simple form)."""
    found: list[int] = []
    for part in listed.split(",") if listed else ():
        first, _, last = part.partition("-")
        start, end = number(first, most=_MOST_CPUS), number(last or first, most=_MOST_CPUS)
        if start is None or end is None:
            return None
        found += range(start, end + 1)
    return tuple(found)
