"""The relocation code of the model with a black box: its two stages, and its exceptions; nothing else is different."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from warmboot.blackbox.record import BOX_SIZE, Box, Stage, Template, fresh_box, pack_template, parse
from warmboot.kernel import PROFILES, CpuState, Profile
from warmboot.machines.accel import Accel
from warmboot.machines.arch import of
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.machines.unicorn import execute
from warmboot.memmap import Facts
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

MIB = 1 << 20
ENTRY, BOX, UNMAPPED = 0x200_0000, 0x300_0000, 0xC000_0000  # physical
SOURCE = 8  # IND_SOURCE
PAGE = fresh_box(pack_template(Template(load_id=b"this load's name")))
PATIENCE = 120.0  # seconds: for a busy computer
CONTENT = bytes(range(256)) * 64  # four pages


def load(machine: Machine, entry: int = ENTRY) -> CpuState:
    """Four pages, and a page that only the box is in: that it is a segment's keeps everybody else out of it."""
    segments = (
        Segment(Readable.of(CONTENT), len(CONTENT), ENTRY, len(CONTENT)),
        Segment(Readable.of(PAGE), BOX_SIZE, BOX, BOX_SIZE),
    )
    machine.kernel.kexec_load(LoadRequest(entry, segments))
    machine.memory.write(BOX, PAGE)
    return machine.kernel.reboot()


def box_of(machine: Machine) -> Box:
    box = parse(machine.memory.read(BOX, BOX_SIZE))
    assert box is not None
    return box


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("la57", [False, True])
def test_its_stages_are_marked_and_the_image_finds_the_same(profile: Profile, la57: bool) -> None:
    facts = replace(Facts.of_pc(256 * MIB), la57=la57)
    with Machine(facts, profile=profile) as machine:
        plain = execute(machine.memory, load(machine), until=ENTRY)
        assert plain.reached
        assert box_of(machine).stage is Stage.LOADED
    with Machine(facts, profile=profile) as machine:
        run = execute(machine.memory, load(machine).marking(BOX), until=ENTRY)
        assert run.reached
        assert run.state == plain.state
        assert machine.memory.read(ENTRY, len(CONTENT)) == CONTENT
        box = box_of(machine)
        assert box.stage is Stage.RELOCATED
        assert box.tsc[Stage.RELOCATED]


@pytest.mark.needs_qemu
@pytest.mark.parametrize("damage", ["source", "list", "entry"])
def test_a_fault_is_written_down(damage: str) -> None:
    """Where before it was a reset without a word."""
    board = of("x86_64").board(Facts.of_pc(128 * MIB, cpus=1), 1, 128 * MIB)
    with (
        Machine(board.facts, banks=board.computer.banks) as machine,
        QemuMachine(board.computer, memory_fd=machine.memory.fd, accel=Accel.TCG) as qemu,
    ):
        qemu.start()
        state = load(machine, UNMAPPED if damage == "entry" else ENTRY)
        assert state.rdi & 2  # IND_INDIRECTION: where the list is
        at = state.rdi & -PAGE_SIZE
        words = list(struct.unpack("<512Q", machine.memory.read(at, PAGE_SIZE)))
        if damage == "source":
            words[next(n for n, word in enumerate(words) if word & SOURCE)] = UNMAPPED | SOURCE
        elif damage == "list":
            words[2] = UNMAPPED | 2
        machine.memory.write(at, struct.pack("<512Q", *words))
        qemu.release(state.marking(BOX), timeout=PATIENCE)
        told = next(line.text for line in qemu.lines(PATIENCE) if "exception" in line.text)
        box = box_of(machine)
    assert told == "warmboot: the processor's exception 0x0e, while pages were brought to their places"
    assert box.exception is not None
    stage = Stage.RELOCATED if damage == "entry" else Stage.RELOCATING
    assert (box.exception.vector, box.exception.stage, box.stage) == (14, stage, stage)
    assert box.exception.registers["cr2"] == UNMAPPED
