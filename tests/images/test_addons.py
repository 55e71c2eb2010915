"""Add-ons beside a unified kernel image, as UAPI.5 and systemd-stub have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.formats import pe
from warmboot.errors import InputError
from warmboot.images import Uki, identify
from warmboot.images.figures import UkiFigures, image_figures
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.report.text.image import image_lines

BASE = [
    *((".linux", demo_kernel()), (".cmdline", b"root=/dev/vda1 -- 3"), (".initrd", b"initrd")),
    *((".ucode", b"ucode"), (".uname", b"6.12.1-amd64")),
]


def image_with(folder: Path, addons: dict[str, bytes]) -> Uki:
    """The image with these files in its folder of add-ons."""
    path = folder / "kernel.efi"
    path.write_bytes(pe(BASE))
    extra = folder / "kernel.efi.extra.d"
    extra.mkdir(exist_ok=True)
    for name, content in addons.items():
        (extra / name).write_bytes(content)
    image = identify(path)
    assert isinstance(image, Uki)
    return image


def test_what_add_ons_add(tmp_path: Path) -> None:
    image = image_with(
        tmp_path,
        {
            "20.addon.efi": pe([(".cmdline", b"quiet\n"), (".ucode", b"newer ucode"), (".initrd", b"two")]),
            "10.addon.efi": pe([(".cmdline", b"debug"), (".ucode", b"new ucode"), (".initrd", b"one")]),
            "30.ADDON.EFI": pe([(".cmdline", b"last"), (".uname", b"6.12.1-amd64")]),
        },
    )
    assert image.command_line == "root=/dev/vda1 debug quiet last -- 3"
    assert [bytes(each) for each in image.initrds] == [
        *(b"newer ucode", b"new ucode", b"ucode", b"initrd", b"one", b"two")
    ]
    assert (image.addons, image.left_out) == (("10.addon.efi", "20.addon.efi", "30.ADDON.EFI"), ())


def test_what_does_not_count_is_named(tmp_path: Path) -> None:
    useful = (".cmdline", b"never")
    image = image_with(
        tmp_path,
        {
            "arm.addon.efi": pe([useful], machine=0xAA64),
            "kernel.addon.efi": pe([useful, (".linux", demo_kernel())]),
            "other.addon.efi": pe([useful, (".uname", b"6.1.0")]),
            "tree.addon.efi": pe([(".dtbauto", b"a device tree")]),
            **dict.fromkeys((".hidden.addon.efi", "readme", "x.addon.efi.bak", "ä.addon.efi"), b"no program"),
        },
    )
    assert (image.command_line, image.addons) == ("root=/dev/vda1 -- 3", ())
    assert image.left_out == (
        "arm.addon.efi: for arm64",
        "kernel.addon.efi: a kernel, and no add-on",
        "other.addon.efi: for the kernel release 6.1.0",
        "tree.addon.efi: nothing in it is of use",
    )
    figures = image_figures(image)
    assert isinstance(figures, UkiFigures)
    assert "add-on left out: arm.addon.efi: for arm64" in image_lines(figures)


def test_damage_is_no_reason_to_leave_one_out(tmp_path: Path) -> None:
    whole = pe([(".initrd", bytes(2000))])
    for content, words in ((b"no program", "no EFI program"), (whole[:-1000], "cut short"), (b"", "is empty")):
        with pytest.raises(InputError, match=rf"kernel.efi.extra.d/a.addon.efi: .*{words}"):
            image_with(tmp_path, {"a.addon.efi": content})


def test_an_image_without_a_line_of_its_own_gets_that_of_its_add_ons(tmp_path: Path) -> None:
    image_with(tmp_path, {"a.addon.efi": pe([(".cmdline", b"quiet")])})
    path = tmp_path / "kernel.efi"
    path.write_bytes(pe([(".linux", demo_kernel())]))
    image = identify(path)
    assert isinstance(image, Uki)
    assert (image.command_line, image.initrds) == ("quiet", ())


def test_they_are_told_with_the_profiles(tmp_path: Path) -> None:
    image_with(tmp_path, {"a.addon.efi": pe([(".cmdline", b"quiet")])})
    path = tmp_path / "kernel.efi"
    path.write_bytes(pe([*BASE, (".profile", b"TITLE=One"), (".profile", b"TITLE=Two")]))
    lines = image_lines(image_figures(identify(f"{path}@1")))
    for each in ("profile @0: One", "profile @1: Two, the one that counts"):
        assert each in lines
    assert "add-on a.addon.efi, whose signature is not checked" in lines
    assert "command line inside: root=/dev/vda1 quiet -- 3" in lines
