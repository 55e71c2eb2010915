"""Exceptions between the kernels, in QEMU, whose processor delivers them: they are in the black box, and told."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import xxhash

from warmboot.blackbox.record import BOX_SIZE, Box, Stage, Template, pack_template, parse
from warmboot.machines.accel import Accel
from warmboot.machines.arch import of
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts
from warmboot.purgatory import Entry, Marks, Region
from warmboot.purgatory.arch.x86_64.parameters import purgatory
from warmboot.purgatory.cmos import CMOS_SIZE, CmosMarks, parse_cmos
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

pytestmark = pytest.mark.needs_qemu

MIB = 1 << 20
PURGATORY, KERNEL, BOX = 0x100_0000, 0x110_0000, 0x300_0000  # physical
UNMAPPED = 0xC000_0000  # beyond the machine's RAM
TEMPLATE = pack_template(Template(load_id=b"this load's name"))
PATIENCE = 120.0  # seconds: for a busy computer
PAGE_FAULT, INVALID_OPCODE, GENERAL_PROTECTION = 14, 6, 13
UD2 = bytes.fromhex("0f0b")
POWER_OFF = bytes.fromhex("66ba0406 66b80020 66ef f4")  # mov dx, 0x604; mov ax, 0x2000; out dx, ax; hlt
INT_NMI = bytes.fromhex("cd02")


@contextmanager
def started(
    kernel: bytes, regions: list[Region] | None = None, marks: Marks | None = None
) -> Iterator[tuple[QemuMachine, Machine]]:
    """A computer that is handed over to a purgatory, which enters `kernel`."""
    board = of("x86_64").board(Facts.of_pc(128 * MIB, cpus=1), 1, 128 * MIB)
    code = purgatory(Entry(KERNEL, rbx=0x1234_5678), regions or [], marks=marks or Marks(BOX, TEMPLATE))
    segments = tuple(
        Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
        for data, mem in ((code, PURGATORY), (kernel, KERNEL))
    )
    with (
        Machine(board.facts, banks=board.computer.banks) as machine,
        QemuMachine(board.computer, memory_fd=machine.memory.fd, accel=Accel.TCG) as qemu,
    ):
        qemu.start()
        machine.kernel.kexec_load(LoadRequest(PURGATORY, segments))
        qemu.release(machine.kernel.reboot(), timeout=PATIENCE)
        yield qemu, machine


def told_until(qemu: QemuMachine, words: str) -> list[str]:
    lines = []
    for each in qemu.lines(PATIENCE):
        lines.append(each.text)
        if words in each.text:
            return lines
    raise AssertionError(lines)


def box_of(machine: Machine) -> Box:
    box = parse(machine.memory.read(BOX, BOX_SIZE))
    assert box is not None
    return box


def test_a_page_fault_while_a_piece_is_checked() -> None:
    regions = [Region(KERNEL, 64, xxhash.xxh64(UD2.ljust(64, b"\0")).digest()), Region(UNMAPPED, 64, bytes(8))]
    with started(UD2, regions) as (qemu, machine):
        lines = told_until(qemu, "stopped before the new kernel")
        box = box_of(machine)
    assert box.exception is not None
    found = box.exception
    assert (found.vector, found.stage, box.stage) == (PAGE_FAULT, Stage.CHECKING, Stage.CHECKING)
    assert (found.registers["cr2"], found.error_code) == (UNMAPPED, 0)
    assert PURGATORY <= found.registers["rip"] < PURGATORY + len(purgatory(Entry(KERNEL)))
    assert found.code == machine_code_at(found.registers["rip"])
    assert (box.pieces_checked, box.pieces, box.piece) == (1, 2, (UNMAPPED, 64))
    assert found.registers["rsi"] == UNMAPPED
    assert "warmboot: the processor's exception 0x0e, error code 0000000000000000" in lines
    assert f"  at {found.registers['rip']:016x}, address {UNMAPPED:016x}" in lines


def machine_code_at(rip: int) -> bytes:
    code = purgatory(Entry(KERNEL))
    return code[rip - PURGATORY : rip - PURGATORY + 16]


def test_an_instruction_that_the_kernel_has_and_the_processor_has_not() -> None:
    with started(bytes.fromhex("31c0") + UD2) as (qemu, machine):  # xor eax, eax; ud2
        lines = told_until(qemu, "stopped")
        box = box_of(machine)
    assert box.exception is not None
    assert (box.exception.vector, box.exception.stage) == (INVALID_OPCODE, Stage.ENTERING)
    assert box.exception.registers["rip"] == KERNEL + 2
    assert box.exception.registers["rbx"] == 0x1234_5678
    assert (box.exception.registers["cs"], box.exception.registers["ss"]) == (0x10, 0x18)
    assert box.exception.registers["efer"] & 0x500 == 0x500
    assert box.exception.code[:2] == UD2
    assert "warmboot: the processor's exception 0x06, error code 0000000000000000" in lines


def test_an_entry_where_nothing_can_be_read() -> None:
    """jmp to an address that is no address, and to one without memory: the code there stays unread."""
    for target, vector in ((1 << 62, GENERAL_PROTECTION), (UNMAPPED, PAGE_FAULT)):
        jump = b"\x48\xb8" + struct.pack("<Q", target) + b"\xff\xe0"  # mov rax, target; jmp rax
        with started(jump) as (qemu, machine):
            told_until(qemu, "stopped")
            box = box_of(machine)
        assert box.exception is not None
        assert box.exception.vector == vector
        assert box.exception.registers["rax"] == target
        if vector == PAGE_FAULT:
            assert (box.exception.registers["rip"], box.exception.code) == (UNMAPPED, b"")


@pytest.mark.parametrize("cause", ["exception", "digest"])
def test_the_machine_is_reset_where_that_was_asked_for(cause: str) -> None:
    regions = [Region(KERNEL, 64, bytes(8))] if cause == "digest" else []
    with started(UD2, regions, Marks(BOX, TEMPLATE, reset=True)) as (qemu, machine):
        lines = told_until(qemu, "resetting the machine")
        ending = qemu.outcome(PATIENCE)
        assert ending is not None
        assert ending.reason == "guest-reset"
        box = box_of(machine)
    assert not any("stopped" in line for line in lines)
    assert (box.exception is not None) == (cause == "exception")
    assert box.differs == (cause == "digest")


def test_a_nonmaskable_interrupt_is_nobodys() -> None:
    with started(INT_NMI + POWER_OFF) as (qemu, machine):
        assert qemu.outcome(PATIENCE) is not None
        assert box_of(machine).exception is None


def test_a_box_that_is_not_mapped_is_no_reason_to_stop() -> None:
    with started(POWER_OFF, marks=Marks(UNMAPPED, TEMPLATE)) as (qemu, _machine):
        ending = qemu.outcome(PATIENCE)
        assert ending is not None
        assert ending.reason == "guest-shutdown"


def test_cmos_memory_has_the_last_stage() -> None:
    """QEMU's own: the kernel reads it by the ports, and stores what it finds."""
    found = 0x310_0000
    read = bytes.fromhex("31c9 8d4170 e670 e471 8881") + struct.pack("<I", found) + bytes.fromhex("ffc1 83f908 72ec")
    with started(read + POWER_OFF, marks=Marks(BOX, TEMPLATE, cmos=True)) as (qemu, machine):
        assert qemu.outcome(PATIENCE) is not None
        marks = parse_cmos(machine.memory.read(found, CMOS_SIZE))
    assert marks == CmosMarks(Stage.ENTERING, 0, None, b"th")
