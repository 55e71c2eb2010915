"""What the purgatory marks in a black box, run by the processor of the model up to the kernel's first instruction."""

from __future__ import annotations

import struct
from dataclasses import replace
from random import Random

import pytest
import xxhash

from warmboot.blackbox.record import BOX_SIZE, Box, Stage, Template, fresh_box, pack_mark, pack_template, parse
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.placement.options import BlackBox
from warmboot.purgatory import Entry, Marks, Region
from warmboot.purgatory.arch.x86_64.parameters import purgatory, purgatory_size
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

MIB = 1 << 20
PURGATORY, KERNEL, DATA, BOX, STAMPS = 0x100_0000, 0x110_0000, 0x200_0000, 0x300_0000, 0x310_0010  # physical
TEMPLATE = Template(load_id=b"this load's name", loaded="6.12.117")
MARKED = [Stage.PURGATORY, Stage.CHECKING, Stage.CHECKED, Stage.ENTERING]


def regions_of(*contents: bytes) -> list[Region]:
    at, found = DATA, []
    for data in contents:
        found.append(Region(at, len(data), xxhash.xxh64(data).digest()))
        at += len(data)
    return found


def started(machine: Machine, code: bytes, *, count: bool = False) -> Run:
    segments = tuple(
        Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
        for data, mem in ((code, PURGATORY), (b"\xf4", KERNEL))
    )
    machine.kernel.kexec_load(LoadRequest(PURGATORY, segments))
    relocation = execute(machine.memory, machine.kernel.reboot(), until=PURGATORY)
    return execute(machine.memory, relocation.state, until=KERNEL, count=count)


def box_of(machine: Machine, at: int = BOX) -> Box:
    box = parse(machine.memory.read(at, BOX_SIZE))
    assert box is not None
    return box


PIECES = [bytes(64), b"second".ljust(128, b"."), b"third".ljust(64, b".")]


@pytest.mark.parametrize(
    "stale", [b"", b"\xff" * BOX_SIZE, fresh_box(pack_template(replace(TEMPLATE, load_id=bytes(16))))]
)
def test_a_good_start_marks_every_stage(stale: bytes) -> None:
    with Machine.of_pc(128 * MIB) as machine:
        machine.memory.write(BOX, stale)
        machine.memory.write(DATA, b"".join(PIECES))
        marks = Marks(BOX, pack_template(TEMPLATE), STAMPS)
        code = purgatory(Entry(KERNEL, rsi=5), regions_of(*PIECES), marks=marks)
        assert len(code) == purgatory_size(len(PIECES), box=True)
        run = started(machine, code)
        assert run.reached
        assert run.state.rsi == 5
        box = box_of(machine)
        assert box.template == TEMPLATE
        assert box.verified
        assert box.stage is Stage.ENTERING
        assert list(box.tsc) == MARKED
        assert list(box.tsc.values()) == sorted(box.tsc.values())
        assert (box.pieces_checked, box.pieces, box.differs, box.exception) == (3, 3, False, None)
        assert not box.printed
        assert machine.memory.read(BOX + 0x800, 8) == b"\0\x0f\0\0\0\x60\0\0"  # as an 8250 that sent all
        stamps = struct.unpack("<16Q", machine.memory.read(STAMPS, 128))
        assert {Stage(number): value for number, value in enumerate(stamps) if value} == box.tsc


def test_marks_of_the_same_load_stay() -> None:
    """What user space and the relocation code marked before is this kexec's story too."""
    page = bytearray(fresh_box(pack_template(TEMPLATE), tsc=11))
    for offset, data in pack_mark(Stage.CALLING, 22):
        page[offset : offset + len(data)] = data
    page[0x488:0x800] = b"\xff" * 0x378  # of an earlier try
    with Machine.of_pc(128 * MIB) as machine:
        machine.memory.write(BOX, bytes(page))
        assert started(machine, purgatory(Entry(KERNEL), marks=Marks(BOX, pack_template(TEMPLATE), STAMPS))).reached
        box = box_of(machine)
        assert list(box.tsc) == [Stage.LOADED, Stage.CALLING, Stage.PURGATORY, Stage.CHECKED, Stage.ENTERING]
        assert (box.tsc[Stage.LOADED], box.tsc[Stage.CALLING]) == (11, 22)
        assert (box.pieces, box.differs, box.exception) == (0, False, None)
        assert struct.unpack("<16Q", machine.memory.read(STAMPS, 128))[1:3] == (11, 22)


@pytest.mark.parametrize("number", range(3))
def test_the_piece_that_differs_is_named(number: int) -> None:
    with Machine.of_pc(128 * MIB) as machine:
        regions = regions_of(*PIECES)
        machine.memory.write(DATA, b"".join(PIECES))
        machine.memory.write(regions[number].start, b"?")
        run = started(machine, purgatory(Entry(KERNEL), regions, marks=Marks(BOX, pack_template(TEMPLATE))))
        assert not run.reached
        box = box_of(machine)
        found = xxhash.xxh64(machine.memory.read(regions[number].start, regions[number].size)).digest()
        assert (box.stage, box.differs, box.pieces_checked, box.pieces) == (Stage.CHECKING, True, number, 3)
        assert box.piece == (regions[number].start, regions[number].size)
        assert (box.algorithm, box.wanted, box.found) == ("xxh64", regions[number].digest, found)


def test_both_digests_are_told_of_sha256() -> None:
    import hashlib  # noqa: PLC0415

    with Machine.of_pc(128 * MIB) as machine:
        wrong = Region(DATA, 64, bytes(range(32)))
        started(machine, purgatory(Entry(KERNEL), [wrong], marks=Marks(BOX, pack_template(TEMPLATE))))
        box = box_of(machine)
        assert (box.algorithm, box.wanted) == ("sha256", wrong.digest)
        assert box.found == hashlib.sha256(bytes(64)).digest()


def test_stamps_without_a_box() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        assert started(machine, purgatory(Entry(KERNEL), marks=Marks(stamps=STAMPS))).reached
        stamps = struct.unpack("<16Q", machine.memory.read(STAMPS, 128))
        assert [bool(each) for each in stamps] == [number in {5, 7, 8} for number in range(16)]


def test_nothing_is_marked_unless_it_is_asked_for() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        for at in (BOX, STAMPS & -PAGE_SIZE, 0):
            machine.memory.write(at, b"\xa5" * PAGE_SIZE)
        assert started(machine, purgatory(Entry(KERNEL))).reached
        for at in (BOX, STAMPS & -PAGE_SIZE, 0):
            assert machine.memory.read(at, PAGE_SIZE) == b"\xa5" * PAGE_SIZE


def test_what_it_costs() -> None:
    """Instructions, with and without: the difference does not depend on how much is loaded but for a few a piece."""
    counts = []
    for marks in (None, Marks(BOX, pack_template(TEMPLATE), STAMPS)):
        with Machine.of_pc(128 * MIB) as machine:
            machine.memory.write(DATA, b"".join(PIECES))
            run = started(machine, purgatory(Entry(KERNEL), regions_of(*PIECES), marks=marks), count=True)
            assert run.instructions is not None
            counts.append(run.instructions)
    assert 0 < counts[1] - counts[0] < 3000


def test_a_page_that_is_none_is_refused() -> None:
    for marks in (Marks(BOX + 8, pack_template(TEMPLATE)), Marks(1 << 32, pack_template(TEMPLATE)), Marks(BOX)):
        with pytest.raises(ValueError, match="black box"):
            purgatory(Entry(KERNEL), marks=marks)


def placed(machine: Machine, blackbox: BlackBox | None) -> Placement:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    initrd = memoryview(Random(1).randbytes(70_001))
    options = PlaceOptions(initrds=[initrd], command_line="quiet", rng_seed=bytes(32), blackbox=blackbox)
    return place(image, machine.facts, options)


def test_placement_keeps_the_page_free_and_names_what_it_placed() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        before = placed(machine, None)
        at = max(each.mem for each in before.request.segments)  # what would be taken first
        placement = placed(machine, BlackBox(at, TEMPLATE))
        *segments, page = placement.request.segments
        assert not any(each.mem <= at < each.end for each in segments)
        assert (page.mem, page.memsz, page.name) == (at, PAGE_SIZE, "black box")  # the last one that is copied
        [parameters] = [each for each in placement.request.segments if each.name == "boot parameters"]
        zero_page = b"".join(map(bytes, parameters.buf.pieces(0, parameters.bufsz)))
        count = zero_page[0x1E8]
        e820 = [struct.unpack_from("<QQI", zero_page, 0x2D0 + 20 * number) for number in range(count)]
        assert (at, PAGE_SIZE, 2) in e820
        machine.kernel.kexec_load(placement.request)
        relocation = execute(machine.memory, machine.kernel.reboot(), until=placement.request.entry)
        box = box_of(machine, at)
        assert (box.stage, box.verified) == (Stage.RELOCATED, True)  # by the copy alone
        assert execute(machine.memory, relocation.state, until=placement.kernel_entry).reached
        box = box_of(machine, at)
        assert box.stage is Stage.ENTERING
        assert (box.template.entry, box.template.purgatory) == (placement.kernel_entry, placement.request.entry)
        kinds = {"kernel": "kernel", "initrd": "initrd", "boot parameters": "params", "purgatory": "purgat"}
        assert [(each.start, each.size, each.kind) for each in box.template.segments] == [
            (each.mem, each.memsz, kinds[each.name]) for each in segments
        ]
