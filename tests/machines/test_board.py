"""The PC in QEMU that is most like a machine: what it has of its memory, and what is said to differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from warmboot.errors import InputError, RefusedError
from warmboot.machines.arch import Accel, Board, FirmwareTold, of
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM, MAX_LOW, Pc
from warmboot.memmap import Facts, NumaNode, Range

ANY = {"stub": "stub", "srat": "srat"}
MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
HIGH = 4 * GIB


def board(facts: Facts, most: int = 1 << 60, cpus: int | None = 1) -> Board:
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
    assert "4-level page tables, not 5" in made.differs
    assert made.differs[0].startswith(f"{TIB // MIB} MiB of RAM from 0x180000000 on")


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
    assert processor(2 * TIB) == "max,phys-bits=42,vendor=GenuineIntel"
    assert processor(2 * TIB, Accel.KVM) == "host,host-phys-bits=on"


def test_a_processor_has_as_many_address_bits_as_the_machine_s() -> None:
    for accel, model in (
        (Accel.TCG, "max,phys-bits=46"),
        (Accel.KVM, "host,host-phys-bits=on,host-phys-bits-limit=46"),
    ):
        options = board(replace(Facts.of_pc(GIB), physical_address_bits=46)).computer.options(accel, "memory", ANY)
        assert options[options.index("-cpu") + 1] == model


@pytest.fixture
def ovmf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "OVMF.fd"
    path.touch()
    monkeypatch.setenv("WARMBOOT_OVMF", str(path))
    return path


def test_efi_is_efi(ovmf: Path) -> None:
    made = board(replace(Facts.of_pc(GIB), efi=True, secure_boot=True, rsdp=0x1000))
    options = made.computer.options(Accel.TCG, "memory", ANY)
    assert options[options.index("-bios") + 1] == str(ovmf)
    assert made.computer.loads_late
    assert made.facts.rsdp == 0
    assert made.differs == (
        "Secure Boot is off; what it forbids is asked of the model",
        "ACPI's root pointer is where QEMU's firmware puts it",
    )


def test_without_ovmf_efi_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARMBOOT_OVMF", raising=False)
    monkeypatch.setattr("warmboot.machines.arch.x86_64.efi._PLACES", ())
    made = board(replace(Facts.of_pc(GIB), efi=True))
    [told] = made.differs
    assert told.startswith("legacy firmware, not EFI")
    assert "apt-get install ovmf" in told
    assert not made.computer.loads_late
    [told] = board(replace(Facts.of_pc(GIB), efi=None)).differs
    assert "not known" in told
    monkeypatch.setenv("WARMBOOT_OVMF", "/nowhere")
    with pytest.raises(InputError, match="/nowhere"):
        board(replace(Facts.of_pc(GIB), efi=True))


def test_what_the_firmware_keeps_is_no_ram(ovmf: Path) -> None:
    made = board(replace(Facts.of_pc(GIB), efi=True))
    kept = Range(0x800000, 0x900000)
    told = made.with_firmware(FirmwareTold(rsdp=0x7000, kept=(kept, Range(GIB + MIB, GIB + 2 * MIB))))
    for facts in (told.facts, told.host):
        assert not any(each.overlaps(kept) for each in facts.system_ram)
        assert facts.rsdp == 0x7000
    assert told.differs == ("1024 KiB of RAM are the firmware's",)


def numa(*nodes: tuple[tuple[int, ...], tuple[Range, ...]], cpus: int = 64) -> Facts:
    made = tuple(NumaNode(number, *each) for number, each in enumerate(nodes))
    return replace(Facts.of_pc(6 * GIB, cpus=cpus), numa_nodes=made)


def test_numa_nodes_are_reproduced_with_a_processor_each() -> None:
    parts = (Range(0, GIB), Range(GIB, 2 * GIB), Range(HIGH, HIGH + GIB), Range(HIGH + GIB, HIGH + 4 * GIB))
    made = board(numa(*((tuple(range(16 * n, 16 * n + 16)), (part,)) for n, part in enumerate(parts))), cpus=None)
    assert made.computer.cpus == 4
    assert made.computer.description == "4 processors, 6144 MiB, 4 NUMA nodes"
    assert made.differs == ("4 of 64 processors",)
    assert "srat" in made.computer.files()


def test_numa_nodes_that_lose_something_are_told() -> None:
    facts = numa(((0,), (Range(0, 2 * GIB),)), ((1,), (Range(HIGH, 2 * HIGH),)), cpus=2)
    made = board(facts, most=2 * GIB, cpus=1)
    assert made.differs[1:] == (
        "1 of 2 processors",
        "NUMA nodes without their RAM: 1",
        "NUMA nodes without a processor: 1",
    )
    made = board(numa(((0,), ()), ((1,), ()), cpus=2), cpus=2)
    assert made.differs == ("one NUMA node, not 2: which has which memory is not known",)
    assert "srat" not in made.computer.files()


def test_one_numa_node_is_none() -> None:
    assert board(numa(((0, 1), (Range(0, 2 * HIGH),)), cpus=2), cpus=2).differs == ()


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


@pytest.mark.parametrize("end", [(224 << 20) - 4096, (224 << 20) - 41 * 4096, 224 << 20])
def test_memory_is_what_qemu_makes_of_it(end: int) -> None:
    """In units of 8 KiB, which the end of a machine's RAM need not be: that of QEMU's own guests is not, by ACPI."""
    facts = with_ram((MIB, end), (HIGH, HIGH + 64 * MIB + 4096))
    made = board(facts)
    assert sum(each.size for each in made.computer.banks) % 8192 == 0
    assert all(each.size % 8192 == 0 for each in made.computer.banks)
    assert made.facts.system_ram == facts.system_ram
