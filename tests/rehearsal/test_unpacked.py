"""Kernels that are loaded unpacked boot, where chance put them, and know that they are randomised."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.guests import FAST, shell
from warmboot.debian import kernel

pytestmark = pytest.mark.needs_qemu

PATIENCE = 180.0  # seconds: for a busy computer
INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
code=$(/bin/busybox grep 'Kernel code' /proc/iomem)
text=$(/bin/busybox grep ' _text$' /proc/kallsyms)
flags=$(/bin/busybox od -An -tx1 -j529 -N1 /sys/kernel/boot_params/data)
echo "told: code $code text $text flags $flags all-told"
/bin/busybox poweroff -f
"""


@pytest.mark.slow(20)
@pytest.mark.parametrize("series", ["6.1", "7.2"])
def test_a_kernel_is_where_chance_put_it(series: str, tmp_path: Path) -> None:
    """Linux's own words: both addresses, and KASLR_FLAG, by which it chooses random places for its mappings."""
    initrd, console = tmp_path / "initrd", tmp_path / "console"
    initrd.write_bytes(gzip.compress(shell(INIT), 1))
    words = [sys.executable, "-m", "warmboot", "rehearse", str(kernel(series)), "--initrd", str(initrd)]
    words += ["--append", FAST, "--unpack", "kernel,initrd", "--until", "all-told"]
    words += ["--memory", "512M", "--json", "--console", str(console)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = console.read_text("utf-8", "replace")
    result = json.loads(done.stdout)
    placed = next(each["figures"] for each in result["stages"] if each["name"] == "place")
    assert any("KASLR: chosen here among" in each for each in placed["unpacked"])
    [where] = [each["mem"] for each in placed["segments"] if each["name"] == "kernel"]
    told = re.search(r"told: code +([0-9a-f]+)-.* text ([0-9a-f]{16}) .* flags +([0-9a-f]{2}) all-told", said)
    assert told, said[-3000:]
    assert int(told[1], 16) == where
    assert int(told[2], 16) % (2 << 20) == 0
    assert int(told[2], 16) >= 0xFFFF_FFFF_8100_0000
    assert int(told[3], 16) & 0x02
