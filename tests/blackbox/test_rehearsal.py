"""A rehearsal that stops between the kernels says where, by the black box in the purgatory's own segment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from warmboot.blackbox.loaded import new_template
from warmboot.blackbox.record import Stage, parse
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.placement.options import BlackBox
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.handover import hand_over
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.uapi import PAGE_SIZE

MIB = 1 << 20


def placed(machine: Machine, box: BlackBox | None) -> Placement:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    initrd = memoryview(Random(1).randbytes(70_001))
    options = PlaceOptions(initrds=[initrd], command_line="quiet", rng_seed=bytes(32), blackbox=box)
    return place(image, machine.facts, options)


def test_the_page_is_the_purgatorys_own() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        without, placement = placed(machine, None), placed(machine, BlackBox(None, new_template("demo")))
        names = [each.name for each in placement.request.segments]
        assert names == [each.name for each in without.request.segments]
        [purgatory] = [each for each in placement.request.segments if each.name == "purgatory"]
        assert placement.marks.box == purgatory.end - PAGE_SIZE
        machine.kernel.kexec_load(placement.request)
        done = hand_over(machine, placement)
        assert done.reached
        box = parse(machine.memory.read(placement.marks.box, PAGE_SIZE))
        assert box is not None
        assert (box.stage, box.pieces_checked) == (Stage.ENTERING, len(placement.regions))


def test_the_piece_that_is_damaged_is_named() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine, BlackBox(None, new_template("demo")))
        machine.kernel.kexec_load(placement.request)
        image = machine.kernel.kexec_image
        assert image is not None
        number = [each.name for each in placement.request.segments].index("initrd")
        machine.memory.write(int(image.sources[number][0]) * PAGE_SIZE, b"\xff")
        done = hand_over(machine, placement)
    assert not done.reached
    assert "(initrd) differs" in done.problem


@pytest.mark.needs_qemu
def test_an_instruction_that_no_processor_has_is_named(tmp_path: Path) -> None:
    """It takes no time-out: the exception is heard at once."""
    image, code = tmp_path / "vmlinuz", bytearray(demo_kernel())
    entry = (code[0x1F1] + 1) * 512 + 0x200
    code[entry : entry + 2] = bytes.fromhex("0f0b")  # ud2
    image.write_bytes(bytes(code))
    options = Options(image, Facts.of_pc(256 * MIB), timeout=100)
    result = rehearse(options)
    assert result.stages[-1].name == "boot"
    assert "the processor's exception 0x06" in result.stages[-1].problem
    assert "entered the kernel at" in result.stages[-1].problem
    assert "another processor" in result.stages[-1].hint
    without = rehearse(replace(options, blackbox=False))
    assert "reset itself" in without.stages[-1].problem
