"""A page for a black box: where it is on made-up computers, and what GRUB makes of the words, as its shell would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.computers import iomem, tree
from warmboot.blackbox.install import good_page, grub_text, kept_words, write_grub
from warmboot.blackbox.place import find_place, page_words
from warmboot.blackbox.unit import UNIT, write_unit
from warmboot.errors import InputError, RefusedError

MAP = [
    (0x1000, 0x9FBFF, "System RAM"),
    (0x100000, 0x7FFD_FFFF, "System RAM"),
    (0x100_0000, 0x2FF_FFFF, "  Kernel code"),
    (0x4000_0000, 0x4FFF_FFFF, "  Crash kernel"),
    (0x1_0000_0000, 0x1_7FFF_FFFF, "System RAM"),
]


def test_the_page_is_amid_ram_and_nobodys(tmp_path: Path) -> None:
    root = str(tree(tmp_path, iomem(MAP)))
    page = good_page(root)
    assert page == 0x5000_0000  # behind the crash kernel, which has the middle
    kept = [
        *MAP[:2],
        (0x100000, page - 1, "System RAM"),
        (page, page + 0xFFF, "Reserved"),
        (page + 0x1000, 0x7FFD_FFFF, "System RAM"),
    ]
    booted = tree(tmp_path, {**iomem(kept[2:]), "proc/cmdline": f"quiet {kept_words(page)}\n"})
    assert find_place(str(booted)) == page
    assert page_words(page, f"earlycon {kept_words(page)}") == ""


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no addresses"):
        good_page(str(tree(tmp_path, iomem([(0, 0, "System RAM")]))))
    with pytest.raises(RefusedError, match="no RAM below 4 GiB"):
        good_page(str(tree(tmp_path, iomem([(0x100000, 0x3FF_FFFF, "System RAM")]))))


def test_grub_gets_what_the_kernel_shall_see(tmp_path: Path) -> None:
    root = tree(tmp_path, {**iomem(MAP), "etc/default/grub": "GRUB_CMDLINE_LINUX=quiet\n"})
    path = write_grub(0x5000_0000, str(root))
    assert path.read_text() == grub_text(0x5000_0000)
    # As grub-mkconfig reads it: the settings, then those of the folder; what it writes is a script of GRUB's own, in
    # which \$ is a dollar sign, as in a shell.
    script = f". {root}/etc/default/grub; . {path}; cat << EOF\nlinux /vmlinuz $GRUB_CMDLINE_LINUX\nEOF\n"
    line = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert line == "linux /vmlinuz quiet memmap=4K\\$0x50000000 warmboot.blackbox=0x50000000\n"
    seen = subprocess.run(["sh", "-c", f"echo {line}"], capture_output=True, text=True, check=True).stdout
    assert kept_words(0x5000_0000) in seen


def test_without_grub(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="GRUB is not set up"):
        write_grub(0x5000_0000, str(tree(tmp_path, iomem(MAP))))


def test_the_service_is_enabled_and_the_folder_of_the_notes_is_made(tmp_path: Path) -> None:
    assert write_unit("/opt/warmboot", str(tmp_path)) is None
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    for _ in range(2):
        path = write_unit("/opt/warmboot", str(tmp_path))
        assert path is not None
        assert "ExecStart=/opt/warmboot blackbox arrived\n" in path.read_text()
        assert (path.parent / "multi-user.target.wants" / UNIT).resolve() == path
    assert (tmp_path / "var/lib/warmboot").is_dir()
