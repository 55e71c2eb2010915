"""A kernel file in lines for a person: every format."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.formats import COMPRESSIONS, multiboot1, pe, samples, vmlinux
from warmboot.cli.main import main
from warmboot.images import identify, identify_bytes
from warmboot.images.figures import image_figures
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.report.json.values import json_value
from warmboot.report.text.image import image_lines


def lines(data: bytes | memoryview) -> list[str]:
    """What is said of the kernel in `data`."""
    return image_lines(image_figures(identify_bytes(memoryview(data), "kernel")))


def test_elf() -> None:
    assert lines(samples()["elf32"]) == [
        "kernel",
        "ELF, 32 bits, entered at 0x200000",
        "physical address         virtual     memory  of it loaded",
        "0x000200000-0x000200002  0x200000   3 bytes       3 bytes",
        "0x000300000-0x00030595f  0x300000  22.3 KiB       2.3 KiB",
    ]
    assert lines(vmlinux("6.12"))[1].startswith("ELF, 64 bits, Linux 6.12.")


def test_multiboot() -> None:
    assert lines(samples()["multiboot 2"])[1:3] == [
        "multiboot 2, entered at 0x200060 in 32-bit mode; may be moved to 0x100000-0xffffffff by 2 MiB,"
        " preference highest",
        "wants information about memory, modules at pages, a screen of 1024 x 768, information of types 4, 6",
    ]
    assert lines(multiboot1(0))[2] == "wants nothing"
    text = lines(multiboot1(4, ".long 0, 0, 0, 0, 0, 1, 80, 25, 0\n"))
    assert text[2] == "wants a screen of 80 x 25 characters"


def test_a_unified_kernel_image() -> None:
    assert lines(samples()["uki"])[1:] == [
        "unified kernel image of A B",
        *lines(demo_kernel())[1:],
        "initrd inside: 6 bytes",
        "command line inside: quiet",
    ]
    bare = lines(pe([(".linux", demo_kernel()), (".profile", b""), (".cmdline", b"")]))
    assert bare[1:3] == ["unified kernel image", "profile @0: profile 0, the one that counts"]
    assert bare[-2:] == ["initrd inside: none", "command line inside: (empty)"]
    assert lines(pe([(".linux", demo_kernel())]))[-1] == "command line inside: none"


def test_packed() -> None:
    assert lines(COMPRESSIONS["xz"](demo_kernel()))[0] == "kernel, packed by xz"
    assert lines(samples()["twice"])[0] == "kernel, packed by xz in zboot in gzip"


@pytest.mark.parametrize("name", samples())
def test_inspect_shows_every_format(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(samples()[name])
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out.splitlines()
    assert text[0].startswith(str(path))
    assert main(["inspect", "--json", str(path)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures | {"schema": "urn:warmboot:inspect:1"} == figures
    wanted = replace(image_figures(identify(path)), signers=())  # the samples have no signature
    assert figures | json_value(wanted) == figures
    assert image_lines(wanted) == text
