"""What is reserved early, beside the log of Debian's kernel: each reservation as memblock=debug tells it.

Debian's kernel has no KHO, and all else that counts: CONFIG_NUMA, bounce buffers, a crash reservation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from support.kho_facts import facts_of_guest
from support.kho_guest import KhoGuest, initial_ram_disk
from warmboot.debian import kernel
from warmboot.handover.early import FOUR_GIB, early_parts
from warmboot.handover.next_kernel import next_kernel
from warmboot.memmap import Facts, Range
from warmboot.memmap.numa import NumaNode

MIB, GIB = 1 << 20, 1 << 30
KERN = 0x20  # MEMBLOCK_RSRV_KERN
_RESERVE = re.compile(r"__?memblock_reserve: \[0x([0-9a-f]+)-0x([0-9a-f]+)\] nid=(-?\d+) flags=([0-9a-f]+) ")
_FREE = re.compile(r"memblock_phys_free: \[0x([0-9a-f]+)-0x([0-9a-f]+)\]")
_NODES = (
    *("-object", "memory-backend-ram,id=a,size=3G", "-object", "memory-backend-ram,id=b,size=5G"),
    *("-numa", "node,memdev=a,cpus=0-1", "-numa", "node,memdev=b,cpus=2-3"),
)


@dataclass(frozen=True)
class Reserved:
    """A reservation of the kernel's own; `node` is negative where it has none."""

    where: Range
    node: int


def reserved(log: list[str]) -> list[Reserved]:
    """What is reserved when the page allocator starts, of what the log tells."""
    found: list[Reserved] = []
    for line in log:
        if "available (" in line:
            break
        if match := _RESERVE.search(line):
            if int(match[4], 16) & KERN:
                found.append(Reserved(Range(int(match[1], 16), int(match[2], 16) + 1), int(match[3])))
        elif match := _FREE.search(line):
            freed = Range(int(match[1], 16), int(match[2], 16) + 1)
            found = [piece for each in found for piece in _without(each, freed)]
    return found


def _without(one: Reserved, gone: Range) -> list[Reserved]:
    if not one.where.overlaps(gone):
        return [one]
    ends = ((one.where.start, gone.start), (gone.end, one.where.end))
    return [replace(one, where=Range(start, end)) for start, end in ends if start < end]


@pytest.mark.needs_qemu
@pytest.mark.needs_apt
@pytest.mark.slow(30)
@pytest.mark.parametrize(
    ("memory", "line", "nodes"),
    [(1 * GIB, "crashkernel=128M", 1), (8 * GIB, "crashkernel=256M", 2)],
)
def test_each_part_is_what_the_kernel_reserves(memory: int, line: str, nodes: int) -> None:
    debian = kernel("7.2")
    options = _NODES if nodes == 2 else ()
    with KhoGuest(
        debian, memory=memory, line=f"memblock=debug log_buf_len=1M {line}", cpus=4, options=options
    ) as guest:
        facts = facts_of_guest(guest)
        found = reserved(guest("log"))
    if nodes == 2:
        facts = _with_nodes(facts)
    percpu = next_kernel(debian, None).percpu
    # The kernel and its initrd are reserved before the log is told to tell.
    parts = [
        each
        for each in early_parts(facts, initrd=len(initial_ram_disk()), percpu=percpu, kernel=None, numa=True)
        if each.name not in ("the kernel", "the initrd")
    ]
    slack = 512 << 10  # tables of firmware and pages
    real_low = sum(max(0, min(each.where.end, FOUR_GIB) - each.where.start) for each in found)
    assert abs(sum(each.size for each in parts) - sum(each.where.size for each in found)) <= slack
    assert abs(sum(each.low for each in parts) - real_low) <= slack
    for node in range(nodes):
        told = sum(each.size for each in parts if each.node == node and each.name != "the log")
        assert abs(told - sum(each.where.size for each in found if each.node == node)) <= slack


def _with_nodes(facts: Facts) -> Facts:
    """The nodes of _NODES: the hole below 4 GiB splits the first."""
    end = facts.system_ram[-1].end
    low = [each for each in facts.system_ram if each.end <= FOUR_GIB]
    second = Range(end - 5 * GIB, end)
    first = (*low, *([Range(FOUR_GIB, second.start)] if second.start > FOUR_GIB else []))
    return replace(facts, numa_nodes=(NumaNode(0, (0, 1), first), NumaNode(1, (2, 3), (second,))))
