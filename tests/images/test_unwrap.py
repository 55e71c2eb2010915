"""One rule for what a unified kernel image brings of its own: rehearsed, loaded, and by the drop-in `kexec`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.computers import iomem, memmap, tree
from support.formats import pe
from support.peer import captured
from warmboot.figures import RehearsalPlaceFigures
from warmboot.images import BzImage, identify_bytes
from warmboot.images.unwrap import unwrapped
from warmboot.memmap import Facts
from warmboot.placement import PlaceOptions, linux_command_line, place
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.options import CommandLineRequest, Options
from warmboot.rehearsal.rehearse import rehearse

MAIN = "import sys; sys.argv[0] = 'kexec'; from warmboot.cli.kexec import main; sys.exit(main())"
OWN, GIVEN = b"own" * 1000, b"given" * 1000
IMAGE = pe([(".linux", demo_kernel()), (".cmdline", b"root=/dev/vda1 -- 3"), (".initrd", OWN), (".ucode", b"ucode.")])


def parts(given: list[bytes], *, in_place: bool = False) -> tuple[bytes, str]:
    """The initrds one after the other, and the command line."""
    image = identify_bytes(memoryview(IMAGE), "kernel.efi")
    request = CommandLineRequest(append="quiet")
    kernel, initrds, line = unwrapped(image, [memoryview(each) for each in given], request.line, in_place=in_place)
    assert isinstance(kernel, BzImage)
    assert kernel.file == demo_kernel()
    return b"".join(initrds), line


def test_its_own_come_first() -> None:
    assert parts([]) == (b"ucode." + OWN, "root=/dev/vda1 quiet -- 3")
    assert parts([GIVEN]) == (b"ucode." + OWN + GIVEN, "root=/dev/vda1 quiet -- 3")


def test_in_place_as_kexec_tools_has_it() -> None:
    assert parts([GIVEN], in_place=True)[0] == GIVEN
    assert parts([], in_place=True)[0] == b"ucode." + OWN


def test_other_kernels_have_nothing_of_their_own() -> None:
    image = identify_bytes(memoryview(demo_kernel()), "kernel")
    assert unwrapped(image, [], str) == (image, (), "None")


def test_placing_does_the_same() -> None:
    image = identify_bytes(memoryview(IMAGE), "kernel.efi")
    placement = place(image, Facts.of_pc(1 << 30), PlaceOptions(initrds=[memoryview(GIVEN)]))
    [initrd] = [each for each in placement.request.segments if each.name == "initrd"]
    assert initrd.bufsz == len(b"ucode.") + 2 + len(OWN) + len(GIVEN)
    assert placement.command_line == "root=/dev/vda1 -- 3"
    assert linux_command_line(image, Facts.of_pc(1 << 30), "") == ("root=/dev/vda1 -- 3", 2047)


@pytest.mark.parametrize(("name", "line"), [("kernel.efi", "root=/dev/vda1 quiet -- 3"), ("kernel.efi@1", "two quiet")])
def test_a_rehearsal_tells_it(name: str, line: str, tmp_path: Path) -> None:
    kernel, initrd = tmp_path / "kernel.efi", tmp_path / "initrd"
    profiles = [(".profile", b"ID=one"), (".profile", b"ID=two"), (".cmdline", b"two")]
    kernel.write_bytes(
        pe([(".linux", demo_kernel()), (".cmdline", b"root=/dev/vda1 -- 3"), (".initrd", OWN), *profiles])
    )
    initrd.write_bytes(GIVEN)
    result = rehearse(
        Options(
            tmp_path / name,
            Facts.of_pc(256 << 20),
            [initrd],
            command_line=CommandLineRequest(append="quiet"),
            boot=False,
        )
    )
    figures = result.figures(RehearsalPlaceFigures)
    assert figures.command_line == line
    [placed] = [each for each in figures.segments or () if each.name == "initrd"]
    assert placed.bufsz == len(OWN) + len(GIVEN)


@pytest.mark.needs_namespaces
def test_the_drop_in_knows_profiles_and_add_ons(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "root",
        {
            **memmap([(0x100000, 0x3FFFFFFF, "System RAM")]),
            **iomem([(0x100000, 0x3FFFFFFF, "System RAM")]),
            "proc/cpuinfo": "flags\t\t: fpu lm\n",
        },
    )
    kernel = tmp_path / "kernel.efi"
    profiles = [(".profile", b"ID=one"), (".profile", b"ID=two"), (".cmdline", b"the second")]
    kernel.write_bytes(pe([(".linux", demo_kernel()), (".cmdline", b"the base"), *profiles]))
    extra = tmp_path / "kernel.efi.extra.d"
    extra.mkdir()
    (extra / "a.addon.efi").write_bytes(pe([(".cmdline", b"added")]))
    for words, line in (([kernel], b"the base added\0"), ([f"{kernel}@1"], b"the second added\0")):
        done = captured([sys.executable, "-Ic", MAIN, "-c", "-l", *words], root, answer=lambda _: 0)
        assert (done.status, done.stderr) == (0, "")
        assert any(line in each.data for each in done.load.segments), words
