"""The running command line, and what of it is used again: side by side with kexec-tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.computers import iomem, memmap, small_kernel, told, tree, zero_page
from warmboot.live.cmdline import concatenated, reused, running

PC = [(0, 0x9FBFF, "System RAM"), (0x100000, 0x3FFFFFFF, "System RAM")]
LINES = [
    "BOOT_IMAGE=/boot/vmlinuz-6.1 root=/dev/sda1 ro quiet",
    "root=/dev/sda1 BOOT_IMAGE=/vmlinuz ro",
    "root=/dev/sda1 ro BOOT_IMAGE=/vmlinuz",
    "BOOT_IMAGE=a BOOT_IMAGE=b  quiet",  # 2.0.25 drops the first only
    "BOOT_IMAGE=(hd0,gpt2)/vmlinuz  root=/dev/sda1   ro  ",
    "BOOT_IMAGE",
    "BOOT_IMAGE=x",
    "initrd=\\initrd.img root=UUID=1-2 crashkernel=512M",
    'dyndbg="file a.c +p" BOOT_IMAGE=/v x="BOOT IMAGE=1"',
    "quiet\ttabs BOOT_IMAGE=/v",
    "ünïcode \x7f",
]


def theirs(line: str, tmp_path: Path, *words: str) -> str:
    """The command line that kexec-tools gives to the kernel."""
    root = tree(tmp_path / "root", {**memmap(PC), **iomem(PC), "proc/cmdline": line + "\n"})
    page = zero_page(told(root, small_kernel(tmp_path), "--reuse-cmdline", *words))
    return page[4096:].partition(b"\0")[0].decode()


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("line", LINES)
def test_what_is_used_again(line: str, tmp_path: Path) -> None:
    found = theirs(line, tmp_path)
    assert reused(str(tmp_path / "root")) == found
    assert "BOOT_IMAGE" not in found


@pytest.mark.needs_namespaces
def test_with_what_is_appended(tmp_path: Path) -> None:
    line = theirs(LINES[0], tmp_path, "--append=single debug")
    assert (
        concatenated(reused(str(tmp_path / "root")), "single debug") == line == "root=/dev/sda1 ro quiet single debug"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("crashkernel=512M quiet", "quiet"),
        ("quiet crashkernel=1G,high crashkernel=128M,low ro", "quiet ro"),
        ("BOOT_IMAGE=/v crashkernel=0-2G:64M,2G-:128M", ""),
        ("nocrashkernel=1 quiet", "nocrashkernel=1 quiet"),
    ],
)
def test_a_crash_kernel_reserves_nothing(line: str, expected: str, tmp_path: Path) -> None:
    root = str(tree(tmp_path, {"proc/cmdline": line + "\n"}))
    assert reused(root, panic=True) == expected
    assert ("crashkernel" in line) == ("crashkernel" in reused(root))


@pytest.mark.parametrize(
    ("base", "appended", "expected"),
    [
        (None, None, None),
        ("a", None, "a"),
        (None, "b", "b"),
        ("a", "b", "a b"),
        ("", "b", "b"),
        ("a -- 3", "b", "a b -- 3"),
    ],
)
def test_concatenated(base: str | None, appended: str | None, expected: str | None) -> None:
    assert concatenated(base, appended) == expected


def test_only_the_first_line_counts(tmp_path: Path) -> None:
    assert running(str(tree(tmp_path, {"proc/cmdline": "one\r\ntwo\n"}))) == "one"
    assert running(str(tree(tmp_path, {"proc/cmdline": "no end"}))) == "no end"
    with pytest.raises(FileNotFoundError):
        running(str(tmp_path / "nowhere"))


def test_this_computers_own() -> None:
    assert running() == Path("/proc/cmdline").read_text().rstrip("\n")
