"""Unified kernel images: sections by hand, and systemd's stub with sections that objcopy adds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.formats import COMPRESSIONS, from_debian, pe, samples
from warmboot.errors import InputError, RefusedError
from warmboot.formats.pe import sections
from warmboot.images import Uki, identify, identify_bytes
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

PARTS = {
    ".osrel": b'NAME=Debian\nPRETTY_NAME="Debian GNU/Linux 13"\n',
    ".cmdline": b"root=/dev/sda1\nquiet\t \n\0",
    ".uname": b"6.12.1-amd64",
    ".initrd": bytes(range(256)) * 33 + b"end",
    ".linux": demo_kernel(),
}


def uki(data: bytes) -> Uki:
    """The unified kernel image in `data`."""
    image = identify_bytes(memoryview(data), "kernel.efi")
    assert isinstance(image, Uki)
    return image


def check(image: Uki) -> None:
    assert image.kind == "uki"
    assert image.linux.file == demo_kernel()
    assert image.version.startswith("0.1.0-warmboot-demo")
    assert [bytes(each) for each in image.initrds] == [PARTS[".initrd"]]
    assert image.command_line == "root=/dev/sda1 quiet"
    assert (image.uname, image.os_name, image.profiles) == ("6.12.1-amd64", "Debian GNU/Linux 13", ())


def test_sections_by_hand() -> None:
    check(uki(pe([*PARTS.items()])))


def test_systemd_s_stub_and_objcopy(tmp_path: Path) -> None:
    """Built as the specification describes it, by binutils around the stub that Debian ships."""
    stub = from_debian("systemd-boot-efi", "usr/lib/systemd/boot/efi/linuxx64.efi.stub")
    options = []
    for number, (name, content) in enumerate(PARTS.items()):
        (tmp_path / name).write_bytes(content)
        address = hex(0x14DF00000 + number * 0x10000)
        options += ["--add-section", f"{name}={tmp_path / name}", "--change-section-vma", f"{name}={address}"]
    made = tmp_path / "kernel.efi"
    subprocess.run(["objcopy", *options, stub, made], check=True, capture_output=True)
    image = identify(made)
    assert isinstance(image, Uki)
    check(image)
    dumped = tmp_path / "dumped"  # what binutils finds in it
    for name in PARTS:
        subprocess.run(["objcopy", "-O", "binary", f"--only-section={name}", made, dumped], check=True)
        [section] = [each for each in sections(image.file) if each.name == name]
        assert dumped.read_bytes().rstrip(b"\0") == bytes(section.data).rstrip(b"\0")


def test_what_may_be_missing() -> None:
    image = uki(pe([(".linux", demo_kernel())]))
    assert (image.initrds, image.command_line, image.os_name, image.uname) == ((), None, "", "")
    assert uki(pe([(".linux", demo_kernel()), (".cmdline", b"")])).command_line == ""


def test_microcode_goes_before_the_initrd() -> None:
    image = uki(pe([(".initrd", b"initrd"), (".linux", demo_kernel()), (".ucode", b"microcode")]))
    assert [bytes(each) for each in image.initrds] == [b"microcode", b"initrd"]


def test_of_two_sections_the_first_counts() -> None:
    image = uki(pe([(".initrd", b"one"), (".initrd", b"two"), (".linux", demo_kernel()), (".linux", b"no kernel")]))
    assert [bytes(each) for each in image.initrds] == [b"one"]


BASE = [(".linux", demo_kernel()), (".cmdline", b"base"), (".initrd", b"initrd")]
PROFILES = [
    *((".profile", b'ID=main\nTITLE="Regular boot"\n'), (".cmdline", b"first")),
    *((".profile", b"ID=factory"), (".cmdline", b"second"), (".initrd", b"other"), (".ucode", b"ucode")),
    (".profile", b""),
]


def test_the_first_profile_is_the_default() -> None:
    image = uki(pe([*BASE, *PROFILES]))
    assert (image.profiles, image.profile) == (("Regular boot", "factory", "profile 2"), 0)
    assert (image.command_line, [bytes(each) for each in image.initrds]) == ("first", [b"initrd"])
    assert uki(pe([*BASE, (".profile", b"ID=main")])).command_line == "base"


@pytest.mark.parametrize(
    ("number", "line", "initrds"),
    [(0, "first", [b"initrd"]), (1, "second", [b"ucode", b"other"]), (2, "base", [b"initrd"])],
)
def test_a_profile_overrides_what_is_before_all_profiles(number: int, line: str, initrds: list[bytes]) -> None:
    image = identify_bytes(memoryview(pe([*BASE, *PROFILES])), "kernel.efi", profile=number)
    assert isinstance(image, Uki)
    assert (image.profile, image.command_line, [bytes(each) for each in image.initrds]) == (number, line, initrds)


def test_a_profile_by_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kernel.efi"
    path.write_bytes(pe([*BASE, *PROFILES]))
    image = identify(f"{path}@1")
    assert isinstance(image, Uki)
    assert (image.name, image.command_line) == (str(path), "second")
    for given, words in (
        (f"{path}@3", r"no profile @3 in it"),
        (f"{path}@x", "cannot be read: No such file"),
        (f"{path}@70000", "cannot be read: No such file"),
        (f"{path}2@1", "cannot be read: No such file"),
    ):
        with pytest.raises(InputError, match=words):
            identify(given)
    (tmp_path / "kernel.efi@1").write_bytes(demo_kernel())  # a file of that very name comes first
    assert identify(f"{path}@1").kind == "bzImage64"
    (tmp_path / "kernel.efi@1").unlink()
    plain = tmp_path / "plain"
    plain.write_bytes(demo_kernel())
    with pytest.raises(InputError, match="no profile @0: it is no unified kernel image"):
        identify(f"{plain}@0")
    path.write_bytes(pe(BASE))
    identify(f"{path}@0")
    with pytest.raises(InputError, match="no profile @1") as caught:
        identify(f"{path}@1")
    assert "one profile, @0" in caught.value.hint


def test_a_command_line_as_the_stub_makes_it() -> None:
    image = uki(pe([(".linux", demo_kernel()), (".cmdline", b"\t\n quiet\x7fro\n\x01x \n\0behind")]))
    assert image.command_line == "quiet ro  x"


@pytest.mark.parametrize("method", ["gzip", "zstd"])
def test_a_packed_kernel_inside(method: str) -> None:
    image = uki(pe([(".linux", COMPRESSIONS[method](demo_kernel()))]))
    assert image.linux.file == demo_kernel()


def test_other_programs() -> None:
    stub = from_debian("systemd-boot-efi", "usr/lib/systemd/boot/efi/linuxx64.efi.stub").read_bytes()
    for data, words in (
        (stub, "an EFI program, but no Linux kernel"),
        (pe([(".cmdline", b"an add-on")]), "an EFI program, but no Linux kernel"),
        (pe([(".text", b"")], machine=0xAA64), "wrong architecture: an EFI program for arm64"),
        (pe([(".linux", samples()["elf64"])]), "its .linux section is no bzImage"),
        (pe([(".linux", b"")]), "its .linux section is no bzImage"),
    ):
        with pytest.raises(InputError, match=words):
            uki(data)
    with pytest.raises(RefusedError, match="wrong architecture: a unified kernel image for arm64"):
        uki(pe([(".linux", demo_kernel())], machine=0xAA64))


def test_cut_short_anywhere() -> None:
    """The file ends in the middle of a section, of a section's header, or of PE's."""
    data = pe([(".linux", demo_kernel()), (".initrd", bytes(2000))])
    with pytest.raises(InputError, match=r"cut short: section '\.initrd' has 1464 of its 2000 bytes"):
        uki(data[:-584])
    for size in range(0, 0x400, 7):
        with pytest.raises(InputError):
            uki(data[:size])
