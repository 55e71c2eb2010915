"""The smallest reservation that works, against trying a larger and a smaller one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.guests import FAST
from warmboot.debian import kernel
from warmboot.errors import ExitStatus
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.rehearsal.capture.search import margin_for, tried

MIB = 1 << 20


@given(st.integers(16, 4096))
def test_the_margin(size: int) -> None:
    margin = margin_for(size * MIB)
    assert margin >= max(size * MIB // 4, 32 * MIB)
    assert margin < max(size * MIB // 4, 32 * MIB) + 16 * MIB
    assert (size * MIB + margin) % (16 * MIB) == 0


@pytest.mark.needs_qemu
def test_too_small_a_reservation_is_told_with_one_that_works() -> None:
    series = kernel("6.1")
    words = [sys.executable, "-m", "warmboot", "rehearse", str(series), "--crash", "--on", "model", "--json"]
    words += ["--capture-append", FAST, "--crashkernel", "48M"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert found["exit_status"] == done.returncode == ExitStatus.REFUSED
    *_, told = found["verdict"].partition("; ")
    size = int(told.removesuffix(" MiB would work"))
    assert found["hint"].startswith("crashkernel=")
    options = CrashOptions(series, capture_append=FAST)
    assert tried(options, (size - 16) * MIB, timeout=120).exit_status is not ExitStatus.DONE
