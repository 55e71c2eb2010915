"""NUMA nodes, told to a computer in QEMU by an ACPI table of ours: SRAT (ACPI specification 6.5, 5.2.16)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from warmboot.memmap import NumaNode, Range, merge, subtract
from warmboot.memmap.ranges import intersect

__all__ = ["nodes_of", "srat"]

_HEADER = struct.Struct("<4sIBB6s8sI4sI")
_RESERVED = struct.Struct("<I8x")  # 1, for compatibility
_PROCESSOR = struct.Struct("<BBBBIB3sI")
_MEMORY = struct.Struct("<BBIHQQIIQ")
_ENABLED = 1


def nodes_of(nodes: Sequence[NumaNode], cpus: int, ram: Sequence[Range]) -> list[NumaNode]:
    """The nodes of a computer with the processors 0 to `cpus` - 1 and the given RAM, all of which belong to some node.

    Processors are spread over the nodes that have some, in order; RAM of no node belongs to the node before it.
    """
    owners = [each for each in nodes if each.cpus] or list(nodes)
    exact = {cpu: each.node for each in nodes for cpu in each.cpus}
    by_cpu = {cpu: owners[cpu * len(owners) // cpus].node for cpu in range(cpus)}
    if set(exact) == set(by_cpu):
        by_cpu = exact
    left, pieces = merge(ram), []
    for each in nodes:
        mine = intersect(left, each.memory)
        left = subtract(left, mine)
        pieces += [(piece, each.node) for piece in mine]
    pieces.sort()
    for lost in left:
        before = [node for piece, node in pieces if piece.start < lost.start]
        pieces.append((lost, before[-1] if before else nodes[0].node))
        pieces.sort()
    return [
        NumaNode(
            each.node,
            tuple(cpu for cpu, node in by_cpu.items() if node == each.node),
            tuple(merge(piece for piece, node in pieces if node == each.node)),
        )
        for each in nodes
    ]


def srat(nodes: Sequence[NumaNode]) -> bytes:
    """The table; a processor's number is the number of its local APIC. QEMU writes the checksum."""
    body = _RESERVED.pack(1)
    for node in nodes:
        low, high = node.node & 0xFF, (node.node >> 8).to_bytes(3, "little")
        for cpu in node.cpus:
            body += _PROCESSOR.pack(0, _PROCESSOR.size, low, cpu, _ENABLED, 0, high, 0)
        for each in node.memory:
            body += _MEMORY.pack(1, _MEMORY.size, node.node, 0, each.start, each.size, 0, _ENABLED, 0)
    size = _HEADER.size + len(body)
    return _HEADER.pack(b"SRAT", size, 3, 0, b"WARMBT", b"WARMBOOT", 1, b"WARM", 1) + body
