"""`warmboot load`, `unload` and `status` as a person types them, with the system calls caught and answered."""

from __future__ import annotations

import errno
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.crash_machine import CrashMachine
from support.formats import pe
from support.peer import Call, Captured, Load, LoadFile, captured
from warmboot.debian import kernel
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

pytestmark = pytest.mark.needs_namespaces

_WARMBOOT = (sys.executable, "-IBc", "import sys; from warmboot.cli.main import main; sys.exit(main())")
KERNEL = kernel("6.12")


@pytest.fixture
def computer(tmp_path: Path) -> Path:
    return CrashMachine().write(tmp_path / "root")


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd"
    path.write_bytes(b"070701" * 3000)
    return path


def warmboot(computer: Path, words: Sequence[str | Path], number: int = 0) -> Captured:
    """Run it on that computer, whose kernel answers each call with this errno."""
    return captured([*_WARMBOOT, *words], computer, answer=lambda _: number)


def test_a_load_shows_every_stage_and_makes_one_call(computer: Path, initrd: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--initrd", initrd, "--command-line", "root=/dev/vda1"])
    assert (done.status, done.stderr) == (0, "")
    assert isinstance(done.load, Load)
    shown = [line for line in done.stdout.splitlines() if "-0x" in line and line.endswith(("iB", "bytes"))]
    assert len(shown) == len(done.load.segments)
    for word in (
        "inspect",
        "place",
        "permit",
        "risks",
        "load",
        "verdict",
        "kernel",
        "initrd",
        "purgatory",
        "root=/dev/vda1",
    ):
        assert word in done.stdout
    assert any(initrd.read_bytes() in each.data for each in done.load.segments)


def test_json_has_the_same(computer: Path, initrd: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--initrd", initrd, "--json"])
    result = json.loads(done.stdout)
    assert [each["name"] for each in result["stages"]] == ["inspect", "place", "permit", "risks", "load"]
    assert "no_console" in [each["rule"] for each in result["stages"][3]["figures"]["risks"]]
    told = result["stages"][1]["figures"]["segments"]
    assert isinstance(done.load, Load)
    assert [(each["mem"], each["memsz"]) for each in told] == [(each.mem, each.memsz) for each in done.load.segments]


def test_a_dry_run_makes_no_call(computer: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--dry-run"])
    assert (done.status, done.calls) == (0, ())


def test_a_crash_kernel_goes_into_its_reservation(computer: Path, initrd: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--initrd", initrd, "--panic"])
    assert done.status == 0, done.stdout
    assert isinstance(done.load, Load)
    assert done.load.flags & 1
    assert "crash kernel" in done.stdout


def test_the_file_call(computer: Path, initrd: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--initrd", initrd, "--call", "kexec_file_load", "--append", "quiet"])
    assert done.status == 0, done.stdout
    call = done.calls[0]
    assert isinstance(call, LoadFile)


def test_several_initrds_are_one_file_for_the_file_call(computer: Path, initrd: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.write_bytes(b"x" * 4097)
    words: list[str | Path] = ["load", KERNEL, "--initrd", more, "--initrd", initrd, "--call", "kexec_file_load"]
    call = warmboot(computer, words).calls[0]
    assert isinstance(call, LoadFile)
    assert call.initrd == more.read_bytes() + bytes(3) + initrd.read_bytes()
    assert call.kernel == KERNEL.read_bytes()


def test_what_the_kernel_refuses_has_its_reason(computer: Path) -> None:
    done = warmboot(computer, ["load", KERNEL], errno.EBUSY)
    assert done.status == 1
    assert "EBUSY" in done.stdout
    assert "under way" in done.stdout


@pytest.mark.parametrize("call", ["kexec_load", "kexec_file_load"])
def test_what_has_changed_meanwhile_is_unloaded(call: str, computer: Path, initrd: Path) -> None:
    def answer(made: Call) -> int:
        with initrd.open("r+b") as file:
            file.write(b"other")
        return 0

    words = ("load", kernel("6.12"), "--initrd", initrd, "--call", call)
    done = captured([*_WARMBOOT, *words], computer, answer=answer)
    assert done.status == 1
    assert "initrd: changed while it was loaded; what was loaded is unloaded" in " ".join(done.stdout.split())
    _, unload = done.calls
    assert unload == (Load(0, 0x3E0000, ()) if call == "kexec_load" else LoadFile(None, None, "", 1))


def placed(done: Captured) -> dict[str, Any]:
    """The figures of the stage `place`."""
    stages = json.loads(done.stdout)["stages"]
    figures: dict[str, Any] = next(each["figures"] for each in stages if each["name"] == "place")
    return figures


def line_of(done: Captured) -> str:
    return str(placed(done)["command_line"])


def test_append_adds_and_command_line_replaces(computer: Path, initrd: Path, tmp_path: Path) -> None:
    """Also with a unified image's own line and initrd; what is added comes before `--`. rehearse does the same."""
    uki = tmp_path / "uki"
    uki.write_bytes(pe([(".linux", KERNEL.read_bytes()), (".initrd", b"070701" * 2000), (".cmdline", b"own=1 -- 3\0")]))
    options: list[str | Path] = ["--initrd", initrd, "--json"]
    for words, line in (
        ([], "own=1 -- 3"),
        (["--append", "more=1"], "own=1 more=1 -- 3"),
        (["--command-line", "all=1"], "all=1"),
        (["--command-line", "all=1 -- s", "--append", "more=1"], "all=1 more=1 -- s"),
    ):
        loaded = warmboot(computer, ["load", uki, *options, *words])
        assert loaded.status == 0, loaded.stdout
        assert line_of(loaded) == line
        rehearsed = warmboot(computer, ["rehearse", uki, *options, *words, "--no-boot"])
        assert line_of(rehearsed) == line
        sizes = [
            next(each["bufsz"] for each in placed(done)["segments"] if each["name"] == "initrd")
            for done in (loaded, rehearsed)
        ]
        assert sizes == [30000, 30000]


def test_the_rules_of_another_release(computer: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--dry-run", "--profile", "linux-5.10", "--json"])
    assert json.loads(done.stdout)["stages"][2]["figures"]["profile"] == "linux-5.10"
    listed = warmboot(computer, ["load", "--profile", "list"])
    assert listed.status == 0
    assert "linux-6.12  6.12" in listed.stdout
    wrong = warmboot(computer, ["load", KERNEL, "--profile", "linux-1"])
    assert (wrong.status, wrong.stdout) == (2, "")
    assert "--profile list" in wrong.stderr


def test_two_command_lines_are_wrong_usage(computer: Path) -> None:
    done = warmboot(computer, ["load", KERNEL, "--command-line", "a", "--reuse-command-line"])
    assert done.status == 2
    assert "two command lines" in done.stderr


def test_unload_and_status(computer: Path) -> None:
    done = warmboot(computer, ["unload"])
    assert done.status == 0, done.stderr
    assert "loaded" in done.stdout
    assert warmboot(computer, ["status"]).status == 0
    refused = warmboot(computer, ["unload"], errno.EPERM)
    assert refused.status == 1
    assert "run it as root" in refused.stderr


def test_exec_asks_at_a_terminal_only(computer: Path) -> None:
    done = warmboot(computer, ["exec"])
    assert done.status in (1, 2), done.stdout
    assert "no kernel is loaded" in done.stderr or "no terminal" in done.stderr or "no kexec" in done.stderr
    assert done.calls == ()


@pytest.mark.parametrize(("signed", "status"), [(False, 1), (True, 0)])
def test_a_dry_run_under_lockdown_wants_a_signature(computer: Path, tmp_path: Path, signed: bool, status: int) -> None:
    """A key that the kernel trusts is more than can be known here: that is said."""
    lockdown = computer / "sys/kernel/security/lockdown"
    lockdown.parent.mkdir(parents=True)
    lockdown.write_text("none [integrity] confidentiality\n")
    image = tmp_path / "vmlinuz"
    image.write_bytes(KERNEL.read_bytes() if signed else demo_kernel())
    done = warmboot(computer, ["load", image, "--dry-run", "--json"])
    assert done.status == status, done.stdout
    stages = json.loads(done.stdout)["stages"]
    figures = stages[2]["figures"]
    if signed:
        assert any("trusts" in each for each in figures["not_made"])
    else:
        assert "no signature" in stages[2]["problem"]
        assert stages[2]["name"] == "permit"


def test_a_dry_run_on_a_kernel_without_kexec(computer: Path) -> None:
    (computer / "proc/config.gz").write_bytes(gzip.compress(b"# CONFIG_KEXEC is not set\n"))
    done = warmboot(computer, ["load", KERNEL, "--dry-run"])
    assert done.status == 1
    assert "config_kexec" in done.stdout or "no kexec_load" in done.stdout
    assert "ENOSYS" in done.stdout


def test_a_dry_run_looks_at_the_files(computer: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["load", KERNEL, "--dry-run", "--call", "kexec_file_load", "--initrd"]
    written = tmp_path / "written"
    written.write_bytes(b"070701" * 3000)
    with written.open("ab"):
        done = warmboot(computer, [*words, written])
    assert "ETXTBSY" in done.stdout or "which this file system does not tell" in done.stdout
