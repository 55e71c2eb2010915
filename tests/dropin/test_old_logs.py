"""Logs of kernels before 5.10: what vmcore-dmesg of kexec-tools prints, byte for byte."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.kexec_tools import kexec_tools
from support.old_logs import OldRecord, old_core, record_buffer
from warmboot.cli.main import main
from warmboot.dropin.vmcore_dmesg import run
from warmboot.dump.log import read_log
from warmboot.dump.opening import open_dump

pytestmark = [pytest.mark.needs_apt, pytest.mark.one_process]

relaxed = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZE = 2048
records = st.lists(
    st.tuples(st.integers(0, (1 << 63) - 1), st.binary(max_size=90), st.binary(max_size=20)), min_size=1, max_size=12
)


def compare(path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> bytes:
    *loader, program = kexec_tools("sid")
    command = [*loader, str(Path(program).with_name("vmcore-dmesg")), str(path)]
    theirs = subprocess.run(command, capture_output=True, check=False)
    capfdbinary.readouterr()
    assert run(["vmcore-dmesg", str(path)]) == theirs.returncode == 0
    mine = capfdbinary.readouterr().out
    assert mine == theirs.stdout
    return mine


@pytest.mark.parametrize("name", ["printk_log", "log"])
@relaxed
@given(told=records, first=st.integers(0, SIZE // 4 - 10))
def test_records(
    name: str, told: Sequence[OldRecord], first: int, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    buffer, after = record_buffer(told, SIZE, first * 4)
    path = tmp_path / "core"
    path.write_bytes(old_core(buffer, first=first * 4, after=after, name=name))
    kept, problem = read_log(open_dump(path))
    assert problem is None
    assert [(each.time, each.text) for each in kept] == [(time, text) for time, text, _ in told]
    compare(path, capfdbinary)


@relaxed
@given(text=st.binary(min_size=512, max_size=512), ever=st.integers(1, 2000))
def test_text(text: bytes, ever: int, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "core"
    path.write_bytes(old_core(text, after=ever))
    compare(path, capfdbinary)


@relaxed
@given(told=records, at=st.integers(0, 500), size=st.integers(0, 65535))
def test_sizes_that_lie(told: Sequence[OldRecord], at: int, size: int, tmp_path: Path) -> None:
    buffer, after = record_buffer(told, SIZE, 0)
    damaged = bytearray(buffer)
    struct.pack_into("<H", damaged, at * 2, size)
    path = tmp_path / "core"
    path.write_bytes(old_core(bytes(damaged), first=0, after=after))
    kept, _ = read_log(open_dump(path))
    assert sum(len(each.text) for each in kept) <= 2 * SIZE


def test_lines_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "core"
    path.write_bytes(old_core(b"<6>one\n<4>tw\x1bo\n".ljust(512, b"\0"), after=15))
    assert main(["dump", "dmesg", str(path)]) == 0
    assert capsys.readouterr().out == "<6>one\n<4>tw\\x1bo\n"
