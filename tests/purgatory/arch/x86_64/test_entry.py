"""How the purgatory enters an image: in 64-bit mode, with 5 or 4 levels of page tables, or in protected mode."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest

from support.payload32 import FOUND, found32, looking_payload
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.memmap import Facts
from warmboot.purgatory import Backup, Entry, Region
from warmboot.purgatory.arch.x86_64.parameters import JUMP_BACK_TEXT_SIZE, purgatory
from warmboot.stubs.regions import BLOCK
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

MIB, GIB = 1 << 20, 1 << 30
PURGATORY, KERNEL = 0x100_0000, 0x110_0000  # physical
BOOT_CS, BOOT_DS = 0x10, 0x18
LA57 = 0x1000
PE, PG, EM_TS, LME_LMA = 1, 0x8000_0000, 0xC, 0x500
FLAT_32, FLAT_64, FLAT_DATA = 0x00CF_9B00_0000_FFFF, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF
GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", *(f"r{number}" for number in range(8, 16)))


def request(code: bytes, kernel: bytes, at: int = PURGATORY, kernel_at: int = KERNEL) -> LoadRequest:
    segments = [
        Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
        for data, mem in ((code, at), (kernel, kernel_at))
    ]
    return LoadRequest(at, tuple(segments))


def regions_of(kernel: bytes, at: int) -> list[Region]:
    whole = kernel.ljust(-(-len(kernel) // BLOCK) * BLOCK, b"\0")
    return [Region(at, len(whole), hashlib.sha256(whole).digest())]


def started(machine: Machine, asked: LoadRequest, until: int | None) -> Run:
    """Load, and run up to the image's entry; then the purgatory."""
    machine.kernel.kexec_load(asked)
    relocation = execute(machine.memory, machine.kernel.reboot(), until=asked.entry)
    assert relocation.reached
    return execute(machine.memory, relocation.state, until=until)


def looking_kernel() -> bytes:
    """Hand-assembled: stores rsi, the selectors, cr0, cr4 and GDTR from FOUND on, and halts."""
    code = b"\x48\x89\xf0\x48\xa3" + struct.pack("<Q", FOUND)  # mov rax, rsi; mov [FOUND], rax
    loads = ["8cc8", "8cd8", "8cc0", "8cd0", "8ce0", "8ce8", "0f20c0", "0f20e0"]  # mov eax, cs ds es ss fs gs; cr0 cr4
    for number, load in enumerate(loads, start=1):
        code += bytes.fromhex(load) + b"\x48\xa3" + struct.pack("<Q", FOUND + 8 * number)
    code += b"\x48\xb8" + struct.pack("<Q", FOUND + 0x80) + bytes.fromhex("0f0100")  # sgdt [rax]
    return code + b"\xf4"


@pytest.mark.parametrize(
    ("size", "at", "kernel_at"),
    [
        (128 * MIB, PURGATORY, KERNEL),
        (128 * MIB, 0x9_0000, 0x2_0000),
        (6 * GIB, 4 * GIB, 5 * GIB + 0x1000),
        (6 * GIB, PURGATORY, 4 * GIB + 0x20_0000),
        (6 * GIB, 4 * GIB + 0x20_0000, KERNEL),
    ],
)
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("la57", [True, False])
def test_64_bit(size: int, at: int, kernel_at: int, check: bool, la57: bool) -> None:
    kernel = looking_kernel()
    wanted = {"rax": 2**63, "rbx": 2, "rsi": kernel_at + 0x12_3000, "rdi": 2**40}
    entry = Entry(kernel_at, rax=wanted["rax"], rbx=wanted["rbx"], rsi=wanted["rsi"], rdi=wanted["rdi"])
    code = purgatory(entry, regions_of(kernel, kernel_at) if check else [])
    with Machine(replace(Facts.of_pc(size), la57=la57)) as machine:
        run = started(machine, request(code, kernel, at, kernel_at), kernel_at)
        assert run.reached
        state = run.state
        assert {name: getattr(state, name) for name in GENERAL} == dict.fromkeys(GENERAL, 0) | wanted
        assert state.rflags & 0x600 == 0  # interrupts off, direction up
        assert state.cr4 & LA57 == LA57 * la57
        image = machine.kernel.kexec_image
        assert image is not None
        assert state.cr3 == image.pgd << 12
        cr0, cr4 = state.cr0, state.cr4

        # The same again, on into the kernel, which sees what cannot be read from outside.
        run = execute(machine.memory, machine.kernel.reboot())
        assert not run.serial
        found = struct.unpack("<9Q", machine.memory.read(FOUND, 72))
        limit, gdt = struct.unpack("<HQ", machine.memory.read(FOUND + 0x80, 10))
        assert found == (wanted["rsi"], BOOT_CS, *[BOOT_DS] * 5, cr0, cr4)
        assert at <= gdt < at + len(code)
        assert limit == 31
        assert struct.unpack("<4Q", machine.memory.read(gdt, 32)) == (0, FLAT_32, FLAT_64, FLAT_DATA)


@pytest.mark.parametrize("size", [128 * MIB, 6 * GIB])
@pytest.mark.parametrize("la57", [True, False])
def test_4_level_page_tables_for_who_needs_them(size: int, la57: bool) -> None:
    kernel_at = KERNEL if size < GIB else 5 * GIB
    kernel = looking_kernel()
    code = purgatory(Entry(kernel_at, rsi=2**40 + 1, leave_5_level=True), regions_of(kernel, kernel_at))
    with Machine(replace(Facts.of_pc(size), la57=la57)) as machine:
        run = started(machine, request(code, kernel, PURGATORY, kernel_at), None)  # into the kernel, which halts
        assert run.state.cr4 & LA57 == 0
        assert run.state.efer & LME_LMA == LME_LMA
        assert (PURGATORY <= run.state.cr3 < PURGATORY + len(code)) == la57
        found = struct.unpack("<9Q", machine.memory.read(FOUND, 72))
        assert found[:7] == (2**40 + 1, BOOT_CS, *[BOOT_DS] * 5)
        # Whatever the old tables mapped is mapped: the last bytes of memory as the first.
        last = max(each.end for each in machine.facts.system_ram) - 8
        machine.memory.write(last, b"the last")
        load = b"\x48\xa1" + struct.pack("<Q", last) + b"\xf4"  # mov rax, [last]; hlt
        machine.memory.write(KERNEL, load)
        assert execute(machine.memory, replace(run.state, rip=KERNEL)).state.rax == int.from_bytes(
            b"the last", "little"
        )


@pytest.mark.parametrize("size", [128 * MIB, 6 * GIB])
@pytest.mark.parametrize("la57", [True, False])
def test_5_level_page_tables_where_the_processor_has_them(size: int, la57: bool) -> None:
    """Unicorn's processor says that it has not, and changes to them all the same: so that answer is patched."""
    kernel_at = KERNEL if size < GIB else 5 * GIB
    kernel = looking_kernel()
    asked = purgatory(Entry(kernel_at, rsi=2**40 + 1, enter_5_level=True), regions_of(kernel, kernel_at))
    question = b"\xf7\xc1" + (1 << 16).to_bytes(4, "little")  # test ecx, LA57
    assert asked.count(question) == 1
    for code, changed in ((asked, False), (asked.replace(question, b"\xf7\xc4" + b"\xff" * 4), not la57)):
        with Machine(replace(Facts.of_pc(size), la57=la57)) as machine:
            run = started(machine, request(code, kernel, PURGATORY, kernel_at), None)  # into the kernel, which halts
            assert run.state.cr4 & LA57 == LA57 * (la57 or changed)
            assert (PURGATORY <= run.state.cr3 < PURGATORY + len(code)) == changed
            found = struct.unpack("<9Q", machine.memory.read(FOUND, 72))
            assert found[:7] == (2**40 + 1, BOOT_CS, *[BOOT_DS] * 5)
            last = max(each.end for each in machine.facts.system_ram) - 8
            machine.memory.write(last, b"the last")
            load = b"\x48\xa1" + struct.pack("<Q", last) + b"\xf4"  # mov rax, [last]; hlt
            machine.memory.write(KERNEL, load)
            seen = execute(machine.memory, replace(run.state, rip=KERNEL)).state.rax
            assert seen == int.from_bytes(b"the last", "little")


@pytest.mark.parametrize("la57", [True, False])
@pytest.mark.parametrize("check", [True, False])
def test_32_bit_protected_mode(la57: bool, check: bool) -> None:
    kernel = looking_payload()
    entry = Entry(KERNEL, 32, rax=0x2BADB002, rbx=0x9_5000, rsi=0xFFFF_F000, rdi=4, argument=0x1234_5678)
    code = purgatory(entry, regions_of(kernel, KERNEL) if check else [])
    with Machine(replace(Facts.of_pc(6 * GIB), la57=la57)) as machine:
        run = started(machine, request(code, kernel), KERNEL)
        assert run.reached
        assert run.state.rflags & 0x600 == 0
        machine.kernel.kexec_load(request(code, kernel))
        execute(machine.memory, machine.kernel.reboot())
        found = found32(machine.memory)
        values = found.values
        registers = ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp")
        assert [values[name] for name in registers] == [0x2BADB002, 0x9_5000, 0, 0, 0xFFFF_F000, 4, 0]
        assert (values["stack"], values["argument"]) == (0, 0x1234_5678)
        assert PURGATORY <= values["esp"] < PURGATORY + len(code)
        assert values["cr0"] & (PE | PG | EM_TS) == PE
        assert values["cr4"] == 0
        assert values["efer"] & LME_LMA == 0
        assert values["eflags"] & 0x600 == 0
        assert [values[name] for name in ("cs", "ds", "es", "ss", "fs", "gs")] == [BOOT_CS, *[BOOT_DS] * 5]
        assert found.gdt_limit == 31
        gdt = machine.memory.read(found.gdt_base, 32)
        assert struct.unpack("<4Q", gdt)[2:] == (FLAT_32, FLAT_DATA)


def test_a_crash_kernels_memory_is_saved_first() -> None:
    saved = bytes(range(256)) * 5 + b"odd"
    source, copy = 0x1_0003, 0x300_0000
    code = purgatory(Entry(KERNEL), backup=Backup(source, len(saved), copy))
    with Machine.of_pc(128 * MIB) as machine:
        machine.memory.write(source, saved)
        assert started(machine, request(code, b"\xf4"), KERNEL).reached
        assert machine.memory.read(copy, len(saved) + 1) == saved + b"\0"


def test_the_way_back_is_told_behind_the_command_line() -> None:
    line = 0x300_0000
    code = purgatory(Entry(KERNEL), jump_back_text=line + 5)
    with Machine.of_pc(128 * MIB) as machine:
        machine.memory.write(line, b"quiet\0".ljust(200, b"\xff"))
        machine.kernel.kexec_load(request(code, b"\xf4"))
        relocation = execute(machine.memory, machine.kernel.reboot(), until=PURGATORY)
        machine.memory.write(relocation.state.rsp, (0x12_3456_789A).to_bytes(8, "little"))
        assert execute(machine.memory, relocation.state, until=KERNEL).reached
        told = machine.memory.read(line, 200)
    text, _, rest = told.partition(b"\0")
    assert text == b"quiet kexec_jump_back_entry=0x000000123456789a"
    assert rest == b"\xff" * len(rest)
    assert len(text) + 1 <= 5 + JUMP_BACK_TEXT_SIZE


@pytest.mark.parametrize("off", [0x4000_0000, 0x6000_0000, 0])
def test_caches_are_on(off: int) -> None:
    """CD and NW, which firmware or a driver may have left set, slow everything that follows a hundredfold."""
    kernel = looking_kernel()
    asked = request(purgatory(Entry(KERNEL), regions_of(kernel, KERNEL)), kernel)
    with Machine(Facts.of_pc(128 * MIB)) as machine:
        machine.kernel.kexec_load(asked)
        relocation = execute(machine.memory, machine.kernel.reboot(), until=asked.entry)
        before = replace(relocation.state, cr0=relocation.state.cr0 | off)
        run = execute(machine.memory, before, until=KERNEL)
        assert run.reached
        assert run.state.cr0 == relocation.state.cr0
