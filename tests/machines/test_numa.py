"""SRAT: every processor and every byte of RAM belongs to one node, as the kernel wants it."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from warmboot.machines.arch.x86_64.numa import nodes_of, srat
from warmboot.memmap import NumaNode, Range, merge

MIB = 1 << 20
pieces = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=5)


def laid_out(layout: list[tuple[int, int]]) -> tuple[Range, ...]:
    ranges, at = [], 0
    for gap, size in layout:
        ranges.append(Range((at + gap) * MIB, (at + gap + size) * MIB))
        at += gap + size
    return tuple(ranges)


@given(st.lists(pieces, min_size=2, max_size=4), pieces, st.integers(1, 8))
def test_all_of_it_belongs_to_one_node(
    memories: list[list[tuple[int, int]]], ram: list[tuple[int, int]], cpus: int
) -> None:
    """Whatever the facts say: blocks that two nodes share, RAM of no node, fewer processors than nodes."""
    nodes = [NumaNode(n, (2 * n, 2 * n + 1), laid_out(memory)) for n, memory in enumerate(memories)]
    made = nodes_of(nodes, cpus, laid_out(ram))
    assert sorted(cpu for each in made for cpu in each.cpus) == list(range(cpus))
    assert sum(each.size for node in made for each in node.memory) == sum(each.size for each in laid_out(ram))
    assert merge(each for node in made for each in node.memory) == merge(laid_out(ram))


def test_processors_are_where_they_were_if_all_are_there() -> None:
    nodes = [NumaNode(0, (0, 3), (Range(0, MIB),)), NumaNode(1, (1, 2), (Range(MIB, 2 * MIB),))]
    assert [each.cpus for each in nodes_of(nodes, 4, [Range(0, 2 * MIB)])] == [(0, 3), (1, 2)]
    assert [each.cpus for each in nodes_of(nodes, 2, [Range(0, 2 * MIB)])] == [(0,), (1,)]


def test_the_table() -> None:
    table = srat([NumaNode(0, (0,), (Range(0, MIB),)), NumaNode(259, (1,), (Range(MIB, 3 * MIB),))])
    signature, size = struct.unpack_from("<4sI", table)
    assert (signature, size) == (b"SRAT", len(table))
    found, at = [], 48
    while at < len(table):
        if table[at] == 0:
            low, apic, flags = struct.unpack_from("<BBI", table, at + 2)
            found.append(("processor", low | int.from_bytes(table[at + 9 : at + 12], "little") << 8, apic, flags))
        else:
            node, start, length, flags = struct.unpack_from("<I2xQQ4xI", table, at + 2)
            found.append(("memory", node, (start, length), flags))
        at += table[at + 1]
    assert found == [
        ("processor", 0, 0, 1),
        ("memory", 0, (0, MIB), 1),
        ("processor", 259, 1, 1),
        ("memory", 259, (MIB, 2 * MIB), 1),
    ]
