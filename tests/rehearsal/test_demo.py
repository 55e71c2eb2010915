"""`warmboot demo`, end to end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from warmboot.kernel import Policy
from warmboot.machines.machine import Machine
from warmboot.rehearsal.demo import Demo, demo

MIB = 1 << 20
RUN_TIME = 60  # seconds: for a busy computer


def run_demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command with nothing but the package: no PATH to find a program by, no variables, an empty folder."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "warmboot", "demo", *options],
        env={"PATH": "", "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_TIME,
    )


@pytest.fixture(scope="module")
def seen() -> Demo:
    with Machine.of_pc(256 * MIB) as machine:
        return demo(machine)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_demo(tmp_path_factory.mktemp("empty"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    members: dict[str, Any] = json.loads(done.stdout)
    return members


def test_text(tmp_path: Path) -> None:
    done = run_demo(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert "\x1b" not in done.stdout  # no colours where no terminal is
    words = [line.split()[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert words == ["place", "load", "hand", "serial", "verdict"]
    assert "the kernel ran, and found every byte where it belongs" in done.stdout
    assert "| demo kernel: entered" in done.stdout
    assert "| demo kernel: halted" in done.stdout


def test_json(printed: dict[str, Any], seen: Demo) -> None:
    """The machine and the seeds are fixed: the command sees what the function does here."""
    assert printed["verdict"].startswith("the kernel ran, and found every byte where it belongs")
    assert printed["serial"] == seen.serial
    assert printed["instructions"] == seen.hand_over.instructions
    assert printed["instructions"] > 50_000
    assert printed["pages"] == seen.pages
    assert printed["registers"] == seen.hand_over.state.as_dict()
    assert [(each["segment"], each["mem"], each["sha256"]) for each in printed["digests"]] == seen.digests


def printed_digests(serial: str) -> dict[tuple[int, int], str]:
    """Physical range, as the kernel printed it: its SHA-256."""
    found = re.findall(r"^  ([0-9a-f]{16})-([0-9a-f]{16}) ([0-9a-f]{64})$", serial, re.MULTILINE)
    return {(int(start, 16), int(end, 16)): digest for start, end, digest in found}


def test_digests_are_those_of_hashlib(seen: Demo) -> None:
    """Every range that the kernel digested, against the segment that was given: only the purgatory changes itself."""
    found = printed_digests(seen.serial)
    segments = {each.mem: each for each in seen.placement.request.segments}
    assert {start for start, _ in found} == segments.keys()
    for (start, end), digest in found.items():
        segment = segments[start]
        data = b"".join(segment.buf.pieces(0, segment.bufsz)).ljust(segment.memsz, b"\0")[: end - start]
        assert end - start >= segment.bufsz
        assert (digest == hashlib.sha256(data).hexdigest()) == (segment.name != "purgatory")
    assert {name for name, _, _ in seen.digests} == {each.name for each in segments.values()} - {"purgatory"}
    assert seen.agrees


def test_memory_map_is_that_of_the_facts() -> None:
    with Machine.of_pc(3 << 30, crashkernel=64 * MIB) as machine:
        serial = demo(machine).serial
        entries = [(each.range.start, each.range.end, int(each.type)) for each in machine.facts.e820]
    found = re.findall(r"^  ([0-9a-f]{16})-([0-9a-f]{16}) type ([0-9a-f])$", serial, re.MULTILINE)
    assert [(int(start, 16), int(end, 16), int(kind, 16)) for start, end, kind in found] == entries


def test_registers_are_those_of_the_hand_over(seen: Demo) -> None:
    state = seen.hand_over.state.as_dict()
    found = {
        name: int(value, 16) for name, value in re.findall(r"^  (\w+) +([0-9a-f]{16})$", seen.serial, re.MULTILINE)
    }
    assert found == {name: state[name] for name in found}
    assert state.keys() - found.keys() == {"rflags", "efer"}
    assert found["rsi"] == seen.placement.boot_params
    assert found["rip"] == seen.placement.kernel_entry


@pytest.mark.parametrize("policy", list(Policy))
def test_the_result_does_not_depend_on_allocation(policy: Policy, seen: Demo) -> None:
    with Machine.of_pc(256 * MIB, policy=policy) as machine:
        other = demo(machine)
    assert other.agrees
    assert printed_digests(other.serial).keys() == printed_digests(seen.serial).keys()
    assert other.digests == seen.digests


def test_a_digest_that_differs_is_not_agreed_with(seen: Demo) -> None:
    name, address, digest = seen.digests[0]
    other = [(name, address, digest[::-1]), *seen.digests[1:]]
    assert not Demo(seen.placement, seen.pages, seen.hand_over, seen.serial, other).agrees


def test_a_digest_of_another_range_is_not_agreed_with(seen: Demo) -> None:
    (name, address, digest), (other_name, other_address, other_digest), *rest = seen.digests
    crossed = [(name, address, other_digest), (other_name, other_address, digest), *rest]
    assert not Demo(seen.placement, seen.pages, seen.hand_over, seen.serial, crossed).agrees


def test_nothing_of_qemu_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from warmboot.cli.main import main; status = main(['demo', '--json']);"
        "print('|', status, *(name for name in sys.modules if name.partition('.')[0] in ('qemu', 'asyncio')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.devnull},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_TIME,
    )
    assert done.stdout.rpartition("| ")[2] == "0\n"
