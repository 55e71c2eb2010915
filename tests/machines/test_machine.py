"""A machine's memory: where there is RAM, however far apart, and where pages come from."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest

from warmboot.machines.machine import Machine
from warmboot.memmap import Facts, Range

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40


def banks(machine: Machine) -> list[Range]:
    return [each.range for each in machine.memory.banks]


def test_memory_is_where_ram_is() -> None:
    with Machine.of_pc(5 * GIB) as machine:
        assert banks(machine) == [Range(0, 2 * GIB), Range(4 * GIB, 7 * GIB)]
        assert machine.facts == Facts.of_pc(5 * GIB, cpus=2)


def test_ram_across_4_gib_in_one_piece() -> None:
    facts = replace(Facts.of_pc(GIB), iomem="00001000-0009fbff : System RAM\n00100000-23fffffff : System RAM\n")
    with Machine(facts) as machine:
        assert banks(machine) == [Range(0, 9 * GIB)]


@pytest.mark.parametrize("size", [2 * TIB, 12 * TIB, 64 * TIB])
@pytest.mark.parametrize("twins", [1, 2])
def test_a_large_machine_costs_nothing(size: int, twins: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    machines = [Machine.of_pc(size) for _ in range(twins)]
    for each in machines:
        frames = each.kernel.pages.alloc_run(100)
        assert frames.stop <= TIB >> 12  # where the emulator's own translation reaches
        each.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


def test_ram_far_away_is_used_last() -> None:
    iomem = f"00100000-07ffffff : System RAM\n{64 * TIB:x}-{64 * TIB + GIB - 1:x} : System RAM\n"
    with Machine(replace(Facts.of_pc(GIB), iomem=iomem, la57=True, totalram_pages=2 * GIB >> 12)) as machine:
        assert banks(machine) == [Range(0, 128 * MIB), Range(64 * TIB, 64 * TIB + GIB)]
        pages = machine.kernel.pages
        while frames := pages.alloc_run(1 << 20):
            last = frames
        assert last.start >= 64 * TIB >> 12
        machine.memory.write(last.start << 12, b"there")
