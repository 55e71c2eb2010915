"""When is user space reached? Real kernels with first programs that say nothing, restart at once, or are not there."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.formats import from_debian
from support.guests import shell_file
from support.speakers import console_speaker
from warmboot.debian import kernel

pytestmark = [pytest.mark.needs_qemu, pytest.mark.slow(8)]

PATIENCE = 180.0  # seconds: for a busy computer, never what a test takes


@dataclass(frozen=True)
class Ran:
    """A finished rehearsal."""

    status: int
    result: dict[str, Any]
    console: str

    @property
    def boot(self) -> dict[str, Any]:
        figures = self.result["stages"][-1]["figures"]
        assert isinstance(figures, dict)
        return figures

    @property
    def verdict(self) -> str:
        return str(self.result["verdict"])


def rehearse(folder: Path, image: Path, *arguments: str, init: str | None = None) -> Ran:
    """The program with --json, the console in a file; `init` is the script of the first program."""
    initrds: list[str] = []
    if init is not None:
        initrds = ["--initrd", str(shell_file(folder, init))]
    console = folder / "console"
    command = [sys.executable, "-m", "warmboot", "rehearse", str(image), *initrds, *arguments]
    done = subprocess.run(
        [*command, "--json", "--console", str(console)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stderr == ""
    return Ran(done.returncode, json.loads(done.stdout), console.read_text("utf-8", "replace"))


def test_an_init_that_restarts_the_machine_at_once_has_failed(tmp_path: Path) -> None:
    ran = rehearse(tmp_path, kernel("6.12"), init="/bin/busybox reboot -f\n")
    assert ran.status == 1
    assert "boot failed: /init restarted the machine " in ran.verdict
    assert "without a word" in ran.verdict
    assert "reboot: Restarting system" in ran.console


def test_a_silent_init_counts(tmp_path: Path) -> None:
    ran = rehearse(tmp_path, kernel("6.12"), init="exec /bin/busybox sleep 1000\n")
    assert ran.status == 0
    assert ran.boot["reached"] == "user space"
    assert ran.boot["first_words"] is None


def test_a_program_that_the_initrd_lacks_is_named(tmp_path: Path) -> None:
    """The hint is not to give an initrd where one was given."""
    ran = rehearse(tmp_path, kernel("6.12"), "--append", "rdinit=/nonexist", init="exit\n")
    assert ran.status == 1
    assert "Unable to mount root fs" in ran.verdict
    assert "the initrd has no /nonexist" in ran.result["hint"]


def test_a_consoles_file_has_a_limit_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMBOOT_CONSOLE_LIMIT", "10K")
    image = console_speaker(tmp_path / "kernel", b"0123456789\n" * 3000, again=False)
    ran = rehearse(tmp_path, image, "--timeout", "2")
    told = "the console's file ends after 10240 bytes: WARMBOOT_CONSOLE_LIMIT allows more"
    assert ran.boot["notes"] == [told]
    kept, _, notice = ran.console.rpartition("[warmboot: ")
    assert (len(kept) in (10240, 10241), notice) == (True, f"{told}]\n")


def test_a_guests_words_steer_no_terminal(tmp_path: Path) -> None:
    """Escapes of one byte (C1, as UTF-8) and of several, and what reorders text."""
    image = console_speaker(
        tmp_path / "kernel", "\x1b]0;owned\x07\x1b[31mred \u009b1m \u202etxet\n".encode(), again=False
    )
    ran = rehearse(tmp_path, image, "--timeout", "1")
    assert ran.boot["last_lines"] == ["red \\x9b1m \\u202etxet"]
    assert ran.verdict.endswith("last on the console: red \\x9b1m \\u202etxet")


def test_xen_without_a_domain_0_has_its_reason(tmp_path: Path) -> None:
    xen = from_debian("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz")
    ran = rehearse(tmp_path, xen, "--append", "console=com1 com1=115200")
    assert (ran.status, ran.verdict) == (
        1,
        "boot failed: Xen panicked: dom0 kernel not specified. Check bootloader configuration",
    )
    assert "--module" in ran.result["hint"]
