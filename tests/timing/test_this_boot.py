"""`warmboot time` on real kernels that started one another by kexec: their stamps, their clocks, and what is kept."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.guests import ext4
from support.journey import Hop, disk, initial_ram_disk, kernel_file, travel
from warmboot.purgatory.stamps import STAMPS_TYPE

pytestmark = pytest.mark.needs_qemu

KEEP = "mkdir -p /var/lib/warmboot\nmount -t ext4 -o rw $(findfs LABEL=kept) /var/lib/warmboot\n"
LEAVE = "sync\nrun ours -e\n"
TYPES = "run grep -h . /sys/kernel/boot_params/setup_data/*/type\nrun sh -c 'ls /sys/firmware/memmap | wc -l'\n"
TIME = "run warmboot time --json\n"


def load(series: str, *words: str, initrd: str = "initrd") -> str:
    return f'try ours -c -l {" ".join(words)} /stage/{series} --initrd=/stage/{initrd} --command-line="$line"\n'


def told(hop: Hop) -> dict[str, Any]:
    """The figures that it printed, after the types of its nodes."""
    document: dict[str, Any] = json.loads(hop.text[hop.text.index("{") :])
    assert document["exit_status"] == 0
    figures: dict[str, Any] = document["stages"][0]["figures"]
    return figures


@pytest.mark.slow(60)
def test_stamps_arrive_in_every_kernel_and_make_a_table(tmp_path: Path) -> None:
    """6.12 to 6.1, to 7.2 that is loaded unpacked, to 6.12 without a stamp.

    A disk keeps what the kernels keep for one another.
    """
    root = tmp_path / "root"
    root.mkdir()
    kept = ext4(root, "kept", spare=16 << 20)
    # A journal, as every real one has: a kexec that was not preceded by a shutdown leaves it as a crash does.
    subprocess.run(["/usr/sbin/tune2fs", "-j", str(kept)], check=True, stdout=subprocess.DEVNULL)
    scripts = [
        KEEP + load("6.1") + LEAVE,
        KEEP + TYPES + load("7.2", "--unpack=kernel,initrd", initrd="packed") + TIME + LEAVE,
        KEEP + TYPES + load("6.12", "--no-blackbox") + TIME + LEAVE,
        TYPES,
    ]
    stage = {series: kernel_file(series).read_bytes() for series in ("6.1", "6.12", "7.2")}
    stage["packed"] = gzip.compress(initial_ram_disk(), 1)
    more = disk("kept", kept, 3, writable=True)
    journey = travel(kernel_file("6.12"), scripts, stage, append="printk.time=1", more=more)
    assert sorted(journey.hops) == [0, 1, 2, 3], journey.last_words()
    mark = f"{STAMPS_TYPE:#x}"
    for number, stamped in ((1, True), (2, True), (3, False)):
        types = [each for each in journey.hops[number].lines if each.startswith("0x")]
        assert (mark in types) is stamped, journey.hops[number].text
        assert "0x9" in types or journey.hops[number].facts["release"].startswith("6.")  # a seed, which they take
    unpacked = journey.hops[1].text
    assert "kexec: the kernel is loaded unpacked (zstd" in unpacked
    assert "kexec: the initrd is loaded unpacked (gzip" in unpacked
    assert "kexec: KASLR: chosen here among" in unpacked
    first, second = told(journey.hops[1]), told(journey.hops[2])
    for figures in (first, second):
        this = figures["this"]
        parts = {each["name"]: each["seconds"] for each in this["parts"]}
        assert this["how"] == "kexec"
        assert list(parts)[:5] == ["shutdown", "purgatory", "unpacking", "kernel", "initrd"], this
        assert all(0 < seconds < 300 for name, seconds in parts.items() if name != "init"), parts
        assert sum(parts.values()) == pytest.approx(this["seconds"])
    assert first["last"] is None
    assert second["last"] == first["this"]
