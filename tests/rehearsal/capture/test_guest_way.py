"""A crash in a guest: Debian's kernel crashes, the kernel that it has loaded saves the dump, and the dump holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.guests import FAST, shell
from warmboot.debian import kernel, release
from warmboot.rehearsal.arch import of

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

MIB = 1 << 20
PROGRAM = [sys.executable, "-m", "warmboot", "rehearse"]
MARKS = of("x86_64").crash_marks


def rehearse(series: str, *options: str, status: int = 0) -> dict[str, Any]:
    words = [*PROGRAM, str(kernel(series)), "--crash", "--memory", "512M", "--json", "--timeout", "240"]
    words += ["--append", FAST, "--capture-append", FAST, *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit_status"] == done.returncode == status, found
    return found


def figures(found: dict[str, Any], name: str) -> dict[str, Any]:
    stage = next(each for each in found["stages"] if each["name"] == name)
    told: dict[str, Any] = stage["figures"]
    return told


def test_a_crash_by_sysrq(tmp_path: Path) -> None:
    save = tmp_path / "vmcore"
    found = rehearse("6.12", "--crashkernel", "160M", "--save", str(save))
    assert [each["name"] for each in found["stages"]] == ["inspect", "reserve", "load", "crash", "capture", "dump"]
    assert found["verdict"].startswith("this machine would give you a dump, ")

    [[start, end]] = figures(found, "reserve")["reserved"]
    assert end - start == 160 * MIB
    crash, capture, dump = (figures(found, each) for each in ("crash", "capture", "dump"))
    assert crash["message"] == "Kernel panic - not syncing: sysrq triggered crash"
    need = capture["need"]
    assert need["reserved"] == 160 * MIB
    assert need["kernel"] < need["peak"] < need["reserved"]
    assert capture["release"] == dump["release"] == release(kernel("6.12"))
    assert 0 < capture["first_line_seconds"] < capture["user_space_seconds"] < capture["saved_seconds"]

    assert dump["path"] == str(save)
    assert save.stat().st_size == dump["bytes"] > dump["ram"] > 300 * MIB
    assert save.stat().st_mode & 0o777 == 0o600
    assert dump["panic"] == crash["message"]
    # The whole dump, and the memory that it is of, are as they were before the capture kernel's first instruction.
    assert dump["comparable"] == dump["compared"] == dump["ram"]
    assert dump["message"] is True
    assert dump["pattern_at"]
    assert not any(start <= each < end for each in dump["pattern_at"])
    panicked = [each for each in dump["processors"] if each["panicked"]]
    assert [each["process"] for each in panicked] == [crash["process"]]
    assert panicked[0]["known"] == "stack"  # where the system call's entry put its registers
    assert panicked[0]["function"]
    # The other one ran a program that had known values in its registers.
    other = next(each for each in dump["processors"] if not each["panicked"])
    assert {name: other["registers"][name] for name in MARKS} == dict(MARKS)


def test_a_call_of_address_0_while_an_own_initrd_runs(tmp_path: Path) -> None:
    """The text of a system call is changed under it; the fault, and all that follows, is the kernel's own."""
    script = b"#!/bin/busybox sh\necho own init is here\nwhile :; do /bin/busybox sleep 1; done\n"
    initrd, console = tmp_path / "initrd", tmp_path / "console"
    initrd.write_bytes(shell(script))
    more = ["--initrd", str(initrd), "--console", str(console)]
    found = rehearse("6.1", "--crashkernel", "128M", "--crash-by", "null", "--cpus", "1", *more)
    assert "own init is here" in console.read_text("utf-8", "replace")
    crash, dump = figures(found, "crash"), figures(found, "dump")
    assert crash["by"] == "null"
    assert dump["panic"].startswith("BUG: kernel NULL pointer dereference, address: 0000000000000000")
    [processor] = dump["processors"]
    assert processor["panicked"]
    assert processor["process"] == crash["process"]
    assert processor["registers"]["rip"] == 0
    assert processor["known"] == "stack"
