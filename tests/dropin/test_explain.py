"""What the drop-in tells a person after the lines for scripts, when the kernel refuses."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.computers import iomem, memmap, tree
from support.crash_machine import CrashMachine
from support.peer import Captured, captured
from support.side_by_side import OURS
from warmboot.debian import kernel
from warmboot.live.calls import LiveError
from warmboot.loading.explain import explain_load

_MIB = 1 << 20


def _refused(root: Path, words: Sequence[str | Path], number: int) -> Captured:
    return captured([*OURS, *words], root, answer=lambda _: number)


def _for_a_person(found: Captured) -> list[str]:
    """The lines behind the last one for scripts."""
    assert found.status == 255, found.stderr
    lines = found.stderr.splitlines()
    at = max(number for number, line in enumerate(lines) if not line.startswith("kexec: "))
    return lines[at + 1 :]


@pytest.mark.needs_namespaces
def test_the_rule_that_the_model_finds_broken(tmp_path: Path) -> None:
    root = CrashMachine().write(tmp_path)
    words = ("-c", "-p", kernel("6.12"), "--entry=0x100000")
    said = "\n".join(_for_a_person(_refused(root, words, errno.EADDRNOTAVAIL)))
    assert "EADDRNOTAVAIL" in said
    assert "rule crash_entry, kimage_alloc_init" in said
    assert "kexec: try: " in said
    assert "kexec: more: warmboot explain crash_entry" in said


@pytest.mark.needs_namespaces
def test_an_image_that_is_too_large_is_not_copied(tmp_path: Path) -> None:
    """The model makes all its checks before it reads a byte; what it would read is not even there."""
    end = 512 * _MIB - 1
    files = memmap([(0x100000, end, "System RAM")]) | iomem([(0x100000, end, "System RAM")])
    files |= {"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu lm\n", "proc/meminfo": "MemTotal:  500000 kB\n"}
    root = tree(tmp_path, files | {"proc/sys/kernel/osrelease": "6.12.0\n"})
    initrd = tmp_path / "initrd"
    with initrd.open("wb") as file:
        os.truncate(file.fileno(), 300 * _MIB)
    said = "\n".join(_for_a_person(_refused(root, ["-c", "-l", kernel("6.12"), "--initrd", initrd], errno.EINVAL)))
    assert "rule half_of_memory, sanity_check_segment_list" in said


@pytest.mark.needs_namespaces
def test_another_errno_than_the_models_is_explained_plainly(tmp_path: Path) -> None:
    root = CrashMachine().write(tmp_path)
    said = "\n".join(_for_a_person(_refused(root, ["-c", "-p", kernel("6.12"), "--entry=0x100000"], errno.EBUSY)))
    assert "crash_entry" not in said
    assert "under way (rule kexec_trylock)" in said
    assert "kexec: more: warmboot explain kexec_trylock" in said


@pytest.mark.needs_namespaces
def test_a_computer_whose_facts_cannot_be_read_is_no_reason_to_be_silent(tmp_path: Path) -> None:
    ram = [(0x100000, 0x3FFFFFFF, "System RAM")]
    root = tree(tmp_path, memmap(ram) | iomem(ram) | {"proc/cpuinfo": "flags\t\t: fpu lm\n"})
    said = _for_a_person(_refused(root, ["-c", "-l", kernel("6.12")], errno.EPERM))
    assert "EPERM" in said[0]
    assert any("rule kexec_load_disabled" in line for line in said)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_errno_is_told_by_name(number: int) -> None:
    told = explain_load(LiveError(number, "reboot"))
    assert errno.errorcode[number] in told.reasons[0]
    assert len(told.reasons) > 1
