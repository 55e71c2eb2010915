"""Marks in CMOS memory: what the purgatory writes to the ports, and how it is read where Linux shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from support.computers import tree
from warmboot.blackbox.cmos import read_cmos
from warmboot.blackbox.record import Stage, Template, pack_template
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.purgatory import Entry, Marks, Region
from warmboot.purgatory.arch.x86_64.parameters import purgatory
from warmboot.purgatory.cmos import CmosMarks, parse_cmos
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

PURGATORY, KERNEL, DATA, BOX = 0x100_0000, 0x110_0000, 0x200_0000, 0x300_0000  # physical
TEMPLATE = pack_template(Template(load_id=b"this load's name"))


@pytest.fixture
def cmos(monkeypatch: pytest.MonkeyPatch) -> bytearray:
    """The memory behind ports 0x70 and 0x71."""
    memory, index = bytearray(128), [0]

    def out(_emulator: object, port: int, _size: int, value: int, _data: object) -> None:
        if port == 0x70:
            index[0] = value & 0x7F
        elif port == 0x71:
            memory[index[0]] = value & 0xFF

    monkeypatch.setattr("warmboot.machines.arch.x86_64.processor._port_out", out)
    monkeypatch.setattr("warmboot.machines.arch.x86_64.processor._port_in", lambda *_: 0x60)
    return memory


def started(marks: Marks, regions: list[Region]) -> Run:
    with Machine.of_pc(128 << 20) as machine:
        code = purgatory(Entry(KERNEL), regions, marks=marks)
        segments = tuple(
            Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
            for data, mem in ((code, PURGATORY), (b"\xf4", KERNEL))
        )
        machine.kernel.kexec_load(LoadRequest(PURGATORY, segments))
        relocation = execute(machine.memory, machine.kernel.reboot(), until=PURGATORY)
        return execute(machine.memory, relocation.state, until=KERNEL)


RIGHT = Region(DATA, 64, xxhash.xxh64(bytes(64)).digest())


def test_the_last_stage_is_kept(cmos: bytearray) -> None:
    assert started(Marks(BOX, TEMPLATE, cmos=True), [RIGHT]).reached
    assert parse_cmos(bytes(cmos[0x70:0x78])) == CmosMarks(Stage.ENTERING, 0, None, b"th")
    assert not any(cmos[:0x70])


def test_the_piece_that_differs_is_kept(cmos: bytearray) -> None:
    assert not started(Marks(BOX, TEMPLATE, cmos=True), [RIGHT, Region(DATA, 64, bytes(8))]).reached
    assert parse_cmos(bytes(cmos[0x70:0x78])) == CmosMarks(Stage.CHECKING, 2, None, b"th")


def test_nothing_is_written_unless_it_is_asked_for(cmos: bytearray) -> None:
    assert started(Marks(BOX, TEMPLATE), [RIGHT]).reached
    assert started(Marks(), [RIGHT]).reached
    assert not any(cmos)


@given(st.binary(max_size=10) | st.binary(min_size=7, max_size=7).map(lambda each: b"\xb5" + each))
def test_whatever_the_bytes_are(data: bytes) -> None:
    parse_cmos(data)


def test_where_linux_shows_it(tmp_path: Path) -> None:
    marks = bytes([0xB5, 6, 37, 0, 0, 0x5A, 0x3F])
    whole = marks + bytes([-sum(marks) & 0xFF])
    shown = bytes(0x70 - 14) + whole + bytes(8)
    assert read_cmos(str(tree(tmp_path, {}))) is None
    for name in ("dev/nvram", "sys/bus/nvmem/devices/cmos_nvram0/nvmem"):
        found = read_cmos(str(tree(tmp_path, {name: shown})))
        assert found is not None
        assert found[1].endswith(name)
    assert found is not None
    assert found[0] == CmosMarks(Stage.CHECKING, 37, None, bytes.fromhex("5a3f"))
