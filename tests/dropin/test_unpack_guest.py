"""Kernels that `kexec --unpack` loads, on EFI, with both numbers of page table levels, and after a crash."""

from __future__ import annotations

import gzip
import re

import pytest

from support.journey import Hop, initial_ram_disk, kernel_file, travel

pytestmark = pytest.mark.needs_qemu

SEE = """
run sh -c 'echo levels $(grep -m1 -ow la57 /proc/cpuinfo || echo four)'
run grep "Kernel code" /proc/iomem
run sh -c 'echo flags $(od -An -tx1 -j529 -N1 /sys/kernel/boot_params/data)'
"""
CRASH = """
run cat /sys/kernel/kexec_crash_loaded
echo c >/proc/sysrq-trigger
"""


def load(call: str, series: str, words: str) -> str:
    return (
        f"{SEE}try ours {call} --unpack=kernel,initrd /stage/{series} --initrd=/stage/packed"
        f' --command-line="$line {words}"\n'
    )


def levels(hop: Hop) -> int:
    return 5 if "levels la57" in hop.text else 4


@pytest.mark.slow(40)
def test_on_efi_by_levels_and_after_a_crash() -> None:
    """6.12 with 5 levels, 7.2 with no5lvl, 6.12 with 5 levels again, whose crash starts 7.2."""
    scripts = [
        load("-c -l", "7.2", "no5lvl") + "run ours -e\n",
        load("-c -l", "6.12", "crashkernel=256M") + "run ours -e\n",
        load("-p", "7.2", "") + CRASH,
        SEE + "run ls -l /proc/vmcore\nrun grep RAM /proc/iomem\n",
    ]
    stage = {series: kernel_file(series).read_bytes() for series in ("6.12", "7.2")}
    stage["packed"] = gzip.compress(initial_ram_disk(), 1)
    journey = travel(kernel_file("6.12"), scripts, stage, efi=True)
    assert sorted(journey.hops) == [0, 1, 2, 3], journey.last_words()
    hops = [journey.hops[number] for number in range(4)]
    assert [each.facts["release"].split("-")[0][:4] for each in hops] == ["6.12", "7.2.", "6.12", "7.2."]
    assert {each.facts["efi"] for each in hops} == {"yes"}
    assert [levels(each) for each in hops] == [5, 4, 5, 5], "its processor can have both"
    for hop in hops[:3]:
        assert hop.statuses == [0], hop.text
        assert re.search(r"KASLR: chosen here among \d\d+ physical and \d\d+ virtual places", hop.text)
    for hop in hops[1:]:
        assert int(re.findall(r"^flags ([0-9a-f]{2})$", hop.text, re.MULTILINE)[0], 16) & 0x02  # KASLR_FLAG
    assert "/proc/vmcore" in hops[3].text
    crashed = hops[3].text
    code = re.search(r"([0-9a-f]+)-[0-9a-f]+ : Kernel code", crashed)
    ram = re.findall(r"([0-9a-f]+)-([0-9a-f]+) : System RAM", crashed)
    assert code
    assert any(int(start, 16) <= int(code[1], 16) < int(end, 16) for start, end in ram)
    assert sum(int(end, 16) - int(start, 16) for start, end in ram) <= 257 << 20  # and 640 KiB
