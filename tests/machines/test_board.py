"""The PC in QEMU that is most like a machine: what it has of its memory, and what is said to differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warmboot.errors import InputError, RefusedError
from warmboot.machines.arch import Accel, Board, of
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM, MAX_LOW, Pc
from warmboot.memmap import Facts, Range

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
HIGH = 4 * GIB


def board(facts: Facts, most: int = 1 << 60, cpus: int = 1) -> Board:
    return of(facts.machine).board(facts, cpus, most)


def with_ram(*ram: tuple[int, int], la57: bool = False) -> Facts:
    iomem = "".join(f"{start:08x}-{end - 1:08x} : System RAM\n" for start, end in ((0x1000, 0x9FC00), *ram))
    pages = sum(end - start for start, end in ram) >> 12
    return replace(Facts.of_pc(GIB), iomem=iomem, totalram_pages=pages, la57=la57)


def test_a_pc_is_reproduced_whole() -> None:
    facts = Facts.of_pc(5 * GIB)
    made = board(facts)
    assert made.computer.banks == (Range(0, 2 * GIB + FIRMWARE_ROOM), Range(HIGH, HIGH + 3 * GIB))
    assert made.facts.system_ram == made.host.system_ram == facts.system_ram
    assert made.differs == ()


def test_the_firmware_takes_ram_where_there_is_no_other_room() -> None:
    made = board(with_ram((MIB, MAX_LOW)))
    assert made.computer.firmware_room == Range(MAX_LOW - FIRMWARE_ROOM, MAX_LOW)
    assert made.differs == ("RAM at 0xbe000000-0xbfffffff is the firmware's",)


@pytest.mark.parametrize("ram", [[(MIB, 10 * GIB)], [(MIB, 0xE0000000), (HIGH, 10 * GIB)]])
def test_ram_below_4_gib_that_no_pc_of_qemu_s_has(ram: list[tuple[int, int]]) -> None:
    """In one piece across 4 GiB too."""
    made = board(with_ram(*ram))
    assert made.computer.banks == (Range(0, MAX_LOW), Range(HIGH, 10 * GIB))
    assert made.differs[0] == f"RAM from {MAX_LOW:#x} to {min(ram[0][1], HIGH):#x} is left out"
    assert not any(each.overlaps(Range(MAX_LOW, HIGH)) for each in made.facts.system_ram)


def test_ram_that_does_not_fit_here_is_left_out_of_the_boot_alone() -> None:
    made = board(Facts.of_pc(12 * TIB), most=64 * GIB)
    assert made.computer.banks[-1] == Range(HIGH, HIGH + 62 * GIB)
    assert made.facts.system_ram[-1].end == HIGH + 12 * TIB - 2 * GIB
    assert made.host.system_ram[-1].end == HIGH + 62 * GIB
    left_out = (12 * TIB - 64 * GIB) // MIB
    assert made.differs == (f"{left_out} MiB of RAM from 0x1080000000 on are left out: QEMU cannot have them here",)


def test_ram_that_qemu_has_no_address_for_is_left_out() -> None:
    made = board(with_ram((MIB, GIB), (HIGH, 6 * GIB), (64 * TIB, 65 * TIB), la57=True))
    assert made.computer.banks[-1] == Range(HIGH, 6 * GIB)
    assert made.differs[0] == "4-level page tables, not 5"
    assert made.differs[1].startswith(f"{TIB // MIB} MiB of RAM from 0x180000000 on")


def test_a_hole_costs_no_ram() -> None:
    made = board(with_ram((MIB, GIB), (HIGH, 6 * GIB), (8 * GIB, 20 * GIB)), most=4 * GIB)
    assert made.computer.banks[-1] == Range(HIGH, 9 * GIB)


def test_fewer_processors_are_told() -> None:
    assert board(Facts.of_pc(GIB, cpus=64), cpus=2).differs == ("2 of 64 processors",)


def test_a_processor_has_an_address_bit_for_all_of_its_memory() -> None:
    def processor(high: int, accel: Accel = Accel.TCG) -> str:
        options = Pc(GIB, high).options(accel, "memory", {"stub": "stub"})
        return options[options.index("-cpu") + 1]

    assert processor(3 * GIB) == "max"
    assert processor(2 * TIB) == "max,vendor=GenuineIntel,phys-bits=42"
    assert processor(2 * TIB, Accel.KVM) == "host,host-phys-bits=on"


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(RefusedError, match="firmware"):
        Pc(FIRMWARE_ROOM)


@pytest.mark.parametrize(("low", "high"), [(MAX_LOW + 4096, 0), (128 * MIB + 1, 0), (128 * MIB, 1)])
def test_a_memory_that_pc_cannot_have_is_a_mistake(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="whole pages"):
        Pc(low, high)


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(InputError, match="'s390x'") as caught:
        of("s390x")
    assert "x86_64" in caught.value.hint
    with pytest.raises(InputError):
        of("../x86_64")
