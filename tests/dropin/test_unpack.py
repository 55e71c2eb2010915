"""`kexec --unpack`: what the system calls get, and what is said."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.computers import iomem, memmap, tree
from support.peer import Captured, Load, LoadFile, captured
from support.side_by_side import OURS
from warmboot.debian import cpio, kernel

pytestmark = pytest.mark.needs_namespaces

ARCHIVE = cpio.archive([cpio.file("init", b"#!/bin/sh\n" * 500)])
RAM = [(0x100000, 0x3FFF_FFFF, "System RAM")]
FILES = {
    **memmap(RAM),
    **iomem(RAM),
    "proc/cpuinfo": "flags\t\t: fpu lm\n",
    "sys/kernel/kexec_loaded": "0\n",
    "sys/kernel/kexec_crash_loaded": "0\n",
}


def kexec(folder: Path, *words: str | Path, status: int = 0, flags: str = "fpu lm") -> Captured:
    packed = folder / "initrd"
    packed.write_bytes(gzip.compress(ARCHIVE))
    given: Sequence[str | Path] = ("-l", kernel("6.12"), "--initrd", packed, "--append", "quiet", "-i", *words)
    files = {**FILES, "proc/cpuinfo": f"flags\t\t: {flags}\n"}
    found = captured([*OURS, *given], tree(folder / "computer", files), answer=lambda _: 0)
    assert found.status == status, found.stderr
    return found


def test_kernel_and_initrd_by_kexec_load(tmp_path: Path) -> None:
    found = kexec(tmp_path, "-c", "--unpack=kernel,initrd")
    [load] = found.calls
    assert isinstance(load, Load)
    assert any(each.data == ARCHIVE for each in load.segments)
    largest = max(load.segments, key=lambda each: len(each.data))
    assert b"Linux version 6.12." in largest.data  # of the kernel itself: a bzImage has it packed
    assert "the kernel is loaded unpacked" in found.stderr
    assert "the initrd is loaded unpacked" in found.stderr
    assert "KASLR: chosen here among" in found.stderr


def test_the_initrd_by_the_file_call(tmp_path: Path) -> None:
    found = kexec(tmp_path, "-s", "--unpack=initrd")
    [load] = found.calls
    assert isinstance(load, LoadFile)
    assert load.initrd is not None
    assert ARCHIVE.startswith(load.initrd)  # of a long file its beginning
    assert "the initrd is loaded unpacked" in found.stderr


def test_a_kernel_alone_needs_kexec_load(tmp_path: Path) -> None:
    assert isinstance(kexec(tmp_path, "-a", "--unpack=kernel").calls[0], Load)
    refused = kexec(tmp_path, "-s", "--unpack=kernel", status=1)
    assert not refused.calls
    assert "kexec_file_load takes no unpacked kernel" in refused.stderr
    wrong = kexec(tmp_path, "-c", "--unpack=modules", status=1)
    assert "Bad option value in --unpack=modules" in wrong.stderr


@pytest.mark.parametrize("flags", ["fpu lm hypervisor sev sev_es", "fpu lm hypervisor tdx_guest"])
def test_a_kernel_unpacks_itself_where_memory_is_encrypted(tmp_path: Path, flags: str) -> None:
    refused = kexec(tmp_path, "-c", "--unpack=kernel", flags=flags, status=255)
    assert not refused.calls
    assert "Cannot load" in refused.stderr
    assert "guest with encrypted memory" in refused.stderr
    [load] = kexec(tmp_path, "-c", "--unpack=initrd", flags=flags).calls
    assert isinstance(load, Load)
    assert any(each.data == ARCHIVE for each in load.segments)


def test_nothing_is_unpacked_that_nobody_asked_for(tmp_path: Path) -> None:
    [load] = kexec(tmp_path, "-c").calls
    assert isinstance(load, Load)
    packed = (tmp_path / "initrd").read_bytes()
    assert any(each.data == packed for each in load.segments)
