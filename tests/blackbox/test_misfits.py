"""What does not fit together of a load: asked once it has failed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from support.guests import shell
from warmboot.blackbox.misfits import misfits, without_our_console
from warmboot.blackbox.record import Box, BoxSegment, Stage, Template, fresh_box, pack_template, parse
from warmboot.blackbox.state import Loaded
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.memmap import E820Type
from warmboot.placement import PlaceOptions, place
from warmboot.placement.layout import Layout
from warmboot.placement.options import BlackBox
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

MIB = 1 << 20
SEGMENTS = (BoxSegment(16 * MIB, 56 * MIB, "kernel"), BoxSegment(700 * MIB, 2 * MIB, "initrd"))


def box() -> Box:
    found = parse(fresh_box(pack_template(Template(load_id=bytes(16), segments=SEGMENTS)), Stage.ENTERING))
    assert found is not None
    return found


def notes(command_line: str = "", initrds: tuple[str, ...] = (), sizes: tuple[int, ...] = ()) -> Loaded:
    return Loaded(load_id="00" * 16, time=1.0, command_line=command_line, initrds=initrds, sizes=sizes)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("mem=16M", "kernel up to 0x4800000, initrd up to 0x2be00000"),
        ("mem=512M quiet", "initrd up to 0x2be00000"),
        ("mem=2G", None),
        ("mem=nopentium", None),
        ("quiet", None),
    ],
)
def test_a_memory_limit_below_what_was_loaded(line: str, told: str | None) -> None:
    found = [(each.rule, each.fact) for each in misfits(box(), notes(line))]
    assert [rule for rule, _ in found] == (["memory_map"] if told else [])
    assert told is None or told in found[0][1]


@pytest.mark.parametrize("packed", [False, True])
def test_an_initrd_that_is_cut_off(tmp_path: Path, packed: bool) -> None:
    archive = shell(b"#!/bin/busybox sh\n")
    data = gzip.compress(archive, 1) if packed else archive
    path = tmp_path / "initrd"
    path.write_bytes(data)
    whole = notes(initrds=(str(path),), sizes=(1, len(data)))
    assert list(misfits(None, whole)) == []
    path.write_bytes(data[: len(data) // 2])
    assert list(misfits(None, whole)) == []  # another file than was loaded
    [found] = misfits(None, notes(initrds=(str(path),), sizes=(1, len(data) // 2)))
    assert (found.rule, found.confidence) == ("initrd_broken", "likely")
    assert str(path) in found.fact


def test_the_boxs_own_console_is_nobodys() -> None:
    line = "quiet earlycon=uart8250,mmio,0xc000800 panic=1"
    assert without_our_console(line) == "quiet panic=1"
    for other in ("quiet earlycon=uart8250,mmio,0xfe000000", "earlycon", "quiet"):
        assert without_our_console(other) == other


def test_a_map_that_lacks_what_is_loaded_is_named_at_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    template = Template(load_id=bytes(16), risks=("no_console",))

    def risks() -> tuple[str, ...]:
        with Machine.of_pc(128 * MIB) as machine:
            options = PlaceOptions(blackbox=BlackBox(64 * MIB, template))
            found = place(identify_bytes(memoryview(demo_kernel()), "the demo kernel"), machine.facts, options)
        made = parse(fresh_box(found.marks.template))
        assert made is not None
        return made.template.risks

    assert risks() == ("no_console",)
    told = vars(Layout)["e820"].fget
    monkeypatch.setattr(Layout, "e820", property(lambda self: [e for e in told(self) if e.type is not E820Type.RAM]))
    assert risks() == ("no_console", "memory_map")
