"""Facts of a dump from made-up /proc and /sys, whole and damaged."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.crash_machine import PAGE_OFFSET, TEXT, CrashMachine
from warmboot.dump import KernelText
from warmboot.errors import InputError, RefusedError
from warmboot.live.crash import read_dump_facts
from warmboot.memmap import E820Type, Range


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return CrashMachine().write(tmp_path)


def test_memory_to_dump_is_all_ram_but_the_reservations_also_nested(root: Path) -> None:
    assert read_dump_facts(str(root)).ram == (
        Range(0x1000, 0x9FC00),
        Range(0x100000, 0x57000000),
        Range(0x67000000, 0x7FFD7000),
        Range(0x100000000, 0x45F000000),
        Range(0x46F000000, 0x480000000),
        Range(0x4A8000000, 0x4B0000000),
        Range(0x8000000000, 0x8040000000),
    )


def test_reservations_are_sorted(root: Path) -> None:
    assert read_dump_facts(str(root)).reserved == (Range(0x57000000, 0x67000000), Range(0x45F000000, 0x46F000000))


def test_a_graphics_aperture_is_not_dumped(tmp_path: Path) -> None:
    machine = CrashMachine()
    hole = machine.iomem.replace("7ffd7000-7ffd7fff : ACPI", "  70000000-73ffffff : GART\n7ffd7000-7ffd7fff : ACPI")
    ram = read_dump_facts(str(replace(machine, iomem=hole).write(tmp_path))).ram
    assert Range(0x67000000, 0x70000000) in ram
    assert Range(0x74000000, 0x7FFD7000) in ram


def test_other_memory_has_its_type(root: Path) -> None:
    others = {each.range.start: each.type for each in read_dump_facts(str(root)).others}
    assert others[0] == E820Type.RESERVED
    assert others[0x7FFD7000] == E820Type.ACPI
    assert others[0x7FFD8000] == E820Type.NVS
    assert others[0xB0000000] == E820Type.RESERVED  # inside a bus
    assert others[0x480000000] == E820Type.PRAM
    assert others[0x4A0000000] == E820Type.PMEM


def test_each_present_processor_has_a_note(root: Path) -> None:
    facts = read_dump_facts(str(root))
    assert facts.notes == tuple(Range(start, start + 368) for start in (0x47FC18000, 0x47FC58000, 0x47FCD8000))
    assert facts.vmcoreinfo == Range(0x10F928000, 0x10F929024)


@pytest.mark.parametrize("possible", ["0,1,3", "0-3", "0-1,3-3", "3,0-1"])
def test_possible_processors_are_a_list_of_ranges(root: Path, possible: str) -> None:
    (root / "sys/devices/system/cpu/possible").write_text(possible + "\n")
    facts = read_dump_facts(str(root))
    assert len(facts.notes) == 3
    assert facts.possible_cpus == (3 if possible == "0,1,3" else 4 if possible == "0-3" else 3)


def test_a_kernel_that_does_not_tell_the_size_of_notes_has_1_kib(root: Path) -> None:
    (root / "sys/devices/system/cpu/cpu0/crash_notes_size").unlink()
    assert read_dump_facts(str(root)).notes[0].size == 1024


@pytest.mark.parametrize("kallsyms", [True, False])
@pytest.mark.parametrize("text", [TEXT, 0xFFFFFFFFBC000000])
def test_text_and_direct_map_come_from_kcore(tmp_path: Path, text: int, kallsyms: bool) -> None:
    facts = read_dump_facts(str(CrashMachine(text=text, kallsyms=kallsyms).write(tmp_path)))
    assert facts.text == KernelText(text, 0x29000000, 0x1E00000)
    assert facts.page_offset == PAGE_OFFSET


def test_hidden_symbols_are_done_without(root: Path) -> None:
    path = root / "proc/kallsyms"
    path.write_text("".join(f"{0:016x} {line[17:]}\n" for line in path.read_text().splitlines()))
    assert read_dump_facts(str(root)).text.vaddr == TEXT


@pytest.mark.parametrize("name", ["sys/kernel/kexec/crash_elfcorehdr_size", "sys/kernel/crash_elfcorehdr_size"])
def test_the_size_of_headers_comes_from_either_place(tmp_path: Path, name: str) -> None:
    root = CrashMachine(elfcorehdr_size=None).write(tmp_path)
    assert read_dump_facts(str(root)).elfcorehdr_size == 0
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("12288\n")
    assert read_dump_facts(str(root)).elfcorehdr_size == 12288


def test_no_vmcoreinfo(tmp_path: Path) -> None:
    assert read_dump_facts(str(CrashMachine(vmcoreinfo=None).write(tmp_path))).vmcoreinfo is None


# --- what cannot be read -------------------------------------------------------------------------------------------


def test_no_reservation_is_refused(tmp_path: Path) -> None:
    machine = CrashMachine()
    lines = [line for line in machine.iomem.splitlines() if "Crash kernel" not in line]
    root = replace(machine, iomem="\n".join(lines) + "\n").write(tmp_path)
    with pytest.raises(RefusedError, match="no memory is reserved"):
        read_dump_facts(str(root))


def test_who_sees_only_zeros_is_told_to_be_root(tmp_path: Path) -> None:
    machine = CrashMachine()
    zeros = "".join(f"00000000-00000000 : {line.partition(' : ')[2]}\n" for line in machine.iomem.splitlines())
    with pytest.raises(InputError, match="no addresses") as caught:
        read_dump_facts(str(replace(machine, iomem=zeros).write(tmp_path)))
    assert "root" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("proc/iomem", None),
        ("proc/kcore", None),
        ("proc/kcore", b""),
        ("proc/kcore", b"\x7fELF\x01\x01\x01" + bytes(4096)),
        ("proc/kcore", b"\x7fELF\x02\x01\x01" + bytes(4096)),
        ("sys/devices/system/cpu/possible", b"many\n"),
        ("sys/devices/system/cpu/cpu1/crash_notes", b"\n"),
        ("sys/devices/system/cpu/cpu1/crash_notes", b"nowhere\n"),
        ("sys/devices/system/cpu/cpu1/crash_notes_size", b"0x10\n"),
        ("sys/kernel/vmcoreinfo", b"10f928000\n"),
    ],
)
def test_what_is_missing_or_damaged_is_named(root: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_dump_facts(str(root))


def test_a_kernel_without_notes_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="crash_notes"):
        read_dump_facts(str(CrashMachine(notes=[None, None]).write(tmp_path)))


def test_an_iomem_without_the_kernel(tmp_path: Path) -> None:
    machine = CrashMachine()
    root = replace(machine, iomem=machine.iomem.replace("Kernel code", "Kernel")).write(tmp_path)
    with pytest.raises(InputError, match="Kernel code"):
        read_dump_facts(str(root))


@given(cut=st.integers(0, 0x800), at=st.integers(0, 0x7F), new=st.integers(0, 255))
def test_damaged_kcore_is_refused_or_understood(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, new: int
) -> None:
    root = CrashMachine().write(tmp_path_factory.mktemp("machine"))
    content = bytearray((root / "proc/kcore").read_bytes())
    content[at] = new
    (root / "proc/kcore").write_bytes(content[: len(content) - cut * 4])
    try:
        facts = read_dump_facts(str(root))
    except InputError:
        return
    struct.pack("<QQ", facts.page_offset, facts.text.vaddr)  # 64-bit numbers
