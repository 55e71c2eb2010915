"""Random images for kexec_file_load, and the machines that they are loaded on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warmboot.oracle.witness.arch.x86_64.file_load import file_header, setup_part
from warmboot.oracle.witness.file_layouts import FileLayout, RealKernel, generate_files
from warmboot.oracle.witness.file_machines import FILE_MACHINES, PLAIN
from warmboot.oracle.witness.layouts import PATTERN_SIZE, pattern
from warmboot.uapi import KexecFileFlags

MIB = 1 << 20
KERNEL = RealKernel("vmlinuz", file_header(32 * MIB, 4096, 16 * MIB), 32 * MIB, 2047)


def layouts(room: int, release: tuple[int, int] = (7, 2)) -> list[FileLayout]:
    return [
        generate_files(1, number, crash=number % 2 == 0, room=room, release=release, kernels=[KERNEL])
        for number in range(1, 201)
    ]


@pytest.mark.parametrize("room", [16 * MIB, 128 * MIB, 8 << 30])
def test_images_fit(room: int) -> None:
    for each in layouts(room):
        _, init_size, cmdline_size = setup_part(each.header)
        assert len(each.command_line) + 30 <= cmdline_size
        assert init_size + len(each.initrd) < 2 * room // 3
        assert len(each.body) == each.body_size <= init_size
        assert each == generate_files(1, each.number, crash=each.crash, room=room, release=(7, 2), kernels=[KERNEL])


def test_all_that_matters_comes_up() -> None:
    found = layouts(512 * MIB)
    lines = [each.command_line for each in found]
    assert b"" in lines
    assert b"\0" in lines
    assert any(len(each.command_line) + 30 == setup_part(each.header)[2] for each in found)
    assert {len(each.initrd) for each in found} >= {0, 1, 4095, 4096, 4097, 64 * MIB}
    assert {each.name for each in found} == {"made", "vmlinuz"}
    assert {flag for each in found for flag in KexecFileFlags(each.flags)} == set(KexecFileFlags) - {
        KexecFileFlags.UNLOAD
    }


def test_flags_that_a_release_does_not_know_do_not() -> None:
    told = {flag for each in layouts(512 * MIB, (6, 1)) for flag in KexecFileFlags(each.flags)}
    assert told == {KexecFileFlags.ON_CRASH, KexecFileFlags.NO_INITRAMFS}


def test_an_initrd_that_is_larger_than_the_pattern_starts_again() -> None:
    layout = replace(layouts(512 * MIB)[0], flags=0, initrd_at=5, initrd_size=2 * PATTERN_SIZE + 7)
    assert layout.initrd == (pattern()[5:] + pattern() + pattern()[:12])


def test_machines_are_told_apart() -> None:
    assert len({each.name for each in FILE_MACHINES}) == len(FILE_MACHINES)
    assert PLAIN.command_line.endswith("nokaslr")
    moved = next(each for each in FILE_MACHINES if each.kaslr)
    assert "nokaslr" not in moved.command_line
    hot = next(each for each in FILE_MACHINES if each.nodes)
    assert "pc-dimm,memdev=hot,node=1" in list(hot.options())
