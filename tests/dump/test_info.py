"""What a dump is of, beside what is known of the machine that it was made on, and what drgn reads there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.info import dump_info
from warmboot.dump.opening import open_dump
from warmboot.dump.save import SavePlan, save

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]


@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_what_crashed_and_why(series: str) -> None:
    info = dump_info(open_dump(vmcore(series)))
    assert info.problems == ()
    assert info.release.startswith(f"{series}.")
    assert info.version.startswith("#1 SMP")
    assert (info.machine, info.processors, info.format, info.complete) == ("x86_64", 2, "elf", True)
    assert info.panic[-2:] == ("sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash")
    assert info.taints == ""
    assert info.panicked is not None
    assert "sysrq_handle_crash" in [frame.symbol for frame in info.panicked.frames]
    assert info.uptime is not None
    assert 1 < info.uptime < 200
    assert 300 << 20 < info.memory < 512 << 20  # without the reservation for the capture kernel


def test_drgn_says_the_same() -> None:
    code = f"""
import drgn
program = drgn.Program()
program.set_core_dump({str(vmcore("6.12"))!r})
lines = dict(line.split(b"=", 1) for line in program["VMCOREINFO"].string_().splitlines())
names = program.read(int(lines[b"SYMBOL(init_uts_ns)"], 16), 390)
print(*(names[at:].split(bytes(1))[0].decode() for at in range(0, 325, 65)), lines[b"CRASHTIME"].decode(), sep="|")
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    info = dump_info(open_dump(vmcore("6.12")))
    assert told == "|".join(["Linux", info.node, info.release, info.version, info.machine, str(info.crashed)])


def test_a_filtered_dump_says_the_same_but_for_what_it_has(tmp_path: Path) -> None:
    whole = dump_info(ElfCore(vmcore("6.12")))
    assert save(ElfCore(vmcore("6.12")), SavePlan((tmp_path / "out",), threads=2)).complete
    info = dump_info(open_dump(tmp_path / "out"))
    same = ("machine", "node", "release", "version", "crashed", "uptime", "processors", "panic", "taints", "panicked")
    assert [getattr(info, each) for each in same] == [getattr(whole, each) for each in same]
    assert info.format == "kdump"
    assert whole.memory - info.memory < 4096  # a page that is not whole
    assert info.in_dump < whole.in_dump / 2
