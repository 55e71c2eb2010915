"""`warmboot dump read`: by symbol, by virtual and by physical address, as lines and as bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from support.vmcores import vmcore
from warmboot.cli.main import main

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["dump", "read", str(vmcore("6.12")), *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_by_symbol_and_by_address(capsys: pytest.CaptureFixture[str]) -> None:
    by_name = lines(capsys, "linux_banner", "40")
    assert "".join(line[68:] for line in by_name).startswith("Linux version 6.12.")
    [address] = re.findall(r"^[0-9a-f]{16}", by_name[0])
    assert lines(capsys, f"0x{address}", "40") == by_name
    assert lines(capsys, "linux_banner+16", "24") == by_name[1:]


def test_bytes_as_they_are() -> None:
    command = [sys.executable, "-m", "warmboot", "dump", "read", "--raw", str(vmcore("6.12")), "linux_banner", "14"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"Linux version "


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads("\n".join(lines(capsys, "--json", "linux_banner", "14")))
    assert answer["schema"] == "urn:warmboot:dump-read:1"
    assert (answer["size"], bytes.fromhex(answer["data"])) == (14, b"Linux version ")
    assert main(["dump", "read", "--json", "--raw", str(vmcore("6.12")), "linux_banner"]) == 2


@pytest.mark.parametrize(
    "words", [["no_such_symbol"], ["0x10"], ["--physical", "0xfffffffff000"], ["linux_banner", "0"]]
)
def test_what_is_not_there(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", "read", str(vmcore("6.12")), *words]) in (1, 2)
    assert capsys.readouterr().err.startswith("warmboot: ")
