"""`warmboot rehearse` boots real kernels: to user space, or to an end that it explains."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.guests import FAST, shell
from warmboot.debian import KERNELS, cpio, guest_root, kernel, release
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM
from warmboot.memmap import Facts

pytestmark = pytest.mark.needs_qemu

MIB = 1 << 20
PATIENCE = 180.0  # seconds: for a busy computer, never what a test takes
PROGRAM = [sys.executable, "-m", "warmboot", "rehearse"]
STAGES = ["inspect", "place", "permit", "load", "hand over", "boot"]

# An init that says what it sees and powers off, within some milliseconds.
QUICK_INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
echo "quick: release=$(/bin/busybox uname -r) cpus=$(/bin/busybox nproc) added=$(/bin/busybox cat /added)"
/bin/busybox poweroff -f
"""


@dataclass(frozen=True)
class Ran:
    """A finished run of the program with --json, the console in a file."""

    status: int
    result: dict[str, Any]
    console: str
    stderr: str

    def stage(self, name: str) -> dict[str, Any]:
        return next(each for each in self.result["stages"] if each["name"] == name)

    @property
    def boot(self) -> dict[str, Any]:
        figures = self.stage("boot")["figures"]
        assert isinstance(figures, dict)
        return figures

    @property
    def verdict(self) -> str:
        return str(self.result["verdict"])


def run(
    folder: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, program: Sequence[str] = PROGRAM
) -> Ran:
    """Rehearse; the command line is one that boots fast unless `arguments` say otherwise."""
    console = folder / "console.txt"
    if "--append" not in arguments:
        arguments = (*arguments, "--append", FAST)
    done = subprocess.run(
        [*program, *map(str, arguments), "--json", "--console", str(console)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert "Traceback" not in done.stderr, done.stderr
    text = console.read_text("utf-8", "replace") if console.exists() else ""
    return Ran(done.returncode, json.loads(done.stdout), text, done.stderr)


def archive(folder: Path, name: str, entries: Sequence[cpio.CpioEntry]) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(cpio.archive(entries), 1))
    return path


def quick_init(folder: Path, added: bytes = b"nothing") -> Path:
    """An initrd that goes over another and takes its place as the first program."""
    entries = [cpio.file("init", QUICK_INIT, 0o755), cpio.file("added", added)]
    return archive(folder, "quick.cpio.gz", entries)


@pytest.fixture(scope="module")
def image() -> Path:
    return kernel("6.12")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initrd with a shell."""
    path = tmp_path_factory.mktemp("root") / "shell.cpio"
    path.write_bytes(shell(QUICK_INIT, [cpio.file("added", b"nothing")]))
    return path


def qemus_of(pid: int) -> list[int]:
    """The processes of QEMU that `pid` started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
        except OSError:  # gone meanwhile
            continue
        if "qemu" in name and int(rest.split()[1]) == pid:
            found.append(int(path.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("series", KERNELS)
def test_every_kernel_boots_to_user_space(series: str, tmp_path: Path) -> None:
    root = guest_root()
    assert root.stat().st_size >= 15 * MIB
    # A quiet kernel must be followed too. The guest starts Python before it speaks: longer than a silent init is
    # waited for, on a busy computer.
    arguments: list[str | Path] = [kernel(series), "--initrd", root, "--append", "console=ttyS0 quiet"]
    ran = run(tmp_path, *arguments, "--until", "warmboot: user space")

    assert (ran.status, ran.stderr) == (0, ""), ran.result
    assert [each["name"] for each in ran.result["stages"]] == STAGES
    assert {each["outcome"] for each in ran.result["stages"]} == {"passed"}
    version = release(kernel(series))
    assert ran.stage("hand over")["figures"]["digest"] == "verified in this process"
    assert ran.stage("hand over")["figures"]["executed"] == "in this process"
    assert ran.stage("place")["figures"]["command_line"] == "console=ttyS0 quiet loglevel=7"
    assert ran.boot["release"] == version
    assert ran.boot["acpi"] is True
    assert ran.boot["processors"] == 2
    assert ran.boot["init"] == "/init"
    assert ran.verdict.startswith("it loads, and it boots: 'warmboot: user space' on the console ")
    said = rf"warmboot: user space release={re.escape(version)} cpus=2 acpi=yes python=3\.11\.\d+"
    assert re.search(rf"^{said}\r?$", ran.console, re.MULTILINE), ran.console[-500:]
    # The request's own addresses, as the kernel that was entered sees them.
    initrd = next(each for each in ran.stage("place")["figures"]["segments"] if each["name"] == "initrd")
    assert f"RAMDISK: [mem {initrd['mem']:#010x}-{initrd['mem'] + initrd['memsz'] - 1:#010x}]" in ran.console


def test_a_seed_makes_randomness_ready_at_once(root: Path, tmp_path: Path) -> None:
    """SETUP_RNG_SEED is credited before the kernel's own collecting could be done; --until ends the boot there."""
    ran = run(tmp_path, kernel("6.1"), "--initrd", root, "--until", "random: crng init done")
    assert ran.status == 0, ran.result
    assert ran.boot["reached"] == "'random: crng init done' on the console"
    assert re.search(r"^\[ *0\.0\d+\] random: crng init done", ran.console, re.MULTILINE), ran.console
    assert "as init process" not in ran.console


def many_ranges() -> Facts:
    """A machine of 1 GiB with holes: some hundred reserved pages among its RAM, a crash reservation, and its RSDP
    in a reserved range of its own."""
    lines = ["00000000-00000fff : Reserved", "00001000-0009fbff : System RAM", "000f0000-000fffff : Reserved"]
    start = 0x100000
    for number in range(150):
        hole = 0x30000000 + number * 0x10000
        lines += [f"{start:08x}-{hole - 1:08x} : System RAM", f"{hole:08x}-{hole + 0xFFF:08x} : Reserved"]
        if number == 0:
            lines.insert(-1, "  20000000-27ffffff : Crash kernel")
        start = hole + 0x1000
    lines += [f"{start:08x}-3ffeffff : System RAM", "3fff0000-3fff0fff : ACPI Tables"]
    lines += ["3fff1000-3fff1fff : ACPI Non-volatile Storage"]
    lines += ["100000000-11fffffff : System RAM"]
    iomem = "\n".join(lines) + "\n"
    return replace(Facts.of_pc(1 << 30), iomem=iomem, cpus=2, rsdp=0x3000_0F00 - 0x40)


def test_a_map_of_hundreds_of_ranges_an_rsdp_of_ones_own_and_a_second_initrd(
    image: Path, root: Path, tmp_path: Path
) -> None:
    facts = many_ranges()
    assert len(facts.e820) > 128
    (tmp_path / "facts.json").write_text(facts.to_json())
    second = quick_init(tmp_path, b"by-the-second-archive")
    ran = run(tmp_path, image, "--initrd", root, "--initrd", second, "--like", tmp_path / "facts.json")

    assert ran.status == 0, ran.result
    assert ran.boot["reached"] == "user space"
    assert ran.boot["first_words"] == f"quick: release={release(image)} cpus=2 added=by-the-second-archive"

    in_page = re.findall(r"BIOS-e820: \[mem (0x\w+)-(0x\w+)\] (.+?)\r?$", ran.console, re.MULTILINE)
    assert len(in_page) == 128
    extended = re.search(r"extended physical RAM map:|e820: extended", ran.console)
    assert extended, ran.console[:3000]
    # Everything behind entry 128 came by setup_data; the last is the RAM above 4 GiB.
    mapped = re.findall(r"reserve setup_data: \[mem (0x\w+)-(0x\w+)\] (.+?)\r?$", ran.console, re.MULTILINE)
    seen = {(int(first, 16), kind) for first, _, kind in (*in_page, *mapped)}
    kinds = {1: "usable", 2: "reserved", 3: "ACPI data", 4: "ACPI NVS"}
    known = {entry.range.start: kinds[entry.type] for entry in facts.e820}
    # What lies in the firmware's room is the firmware's.
    known = {start: kind for start, kind in known.items() if not 0x3E000000 <= start < 0x40000000 + FIRMWARE_ROOM}
    assert known.items() <= seen, sorted(known.items() - seen)

    assert facts.rsdp == 0x30000EC0
    assert f"ACPI: RSDP 0x{facts.rsdp:016X}" in ran.console
    crash = facts.crash_kernel[0]
    for segment in ran.stage("place")["figures"]["segments"]:
        assert segment["mem"] + segment["memsz"] <= crash.start or segment["mem"] >= crash.end, segment


def test_an_initrd_above_4_gib(root: Path, tmp_path: Path) -> None:
    """Below 4 GiB there is room for the kernel and little else."""
    iomem = "00001000-0009fbff : System RAM\n000f0000-000fffff : Reserved\n00100000-04dfffff : System RAM\n"
    facts = replace(Facts.of_pc(1 << 30), iomem=iomem + "100000000-15fffffff : System RAM\n", totalram_pages=0x60000)
    (tmp_path / "facts.json").write_text(facts.to_json())
    big = archive(tmp_path, "big.cpio.gz", [cpio.file("ballast", os.urandom(24 * MIB))])
    initrds: list[str | Path] = ["--initrd", root, "--initrd", big, "--initrd", quick_init(tmp_path, b"from-above")]
    ran = run(tmp_path, kernel("6.1"), *initrds, "--like", tmp_path / "facts.json")

    assert ran.status == 0, ran.result
    where = {each["name"]: each["mem"] for each in ran.stage("place")["figures"]["segments"]}
    assert where["initrd"] >= 1 << 32
    assert re.search(rf"RAMDISK: \[mem 0x0*{where['initrd']:x}-", ran.console)
    assert ran.boot["first_words"].endswith("added=from-above")


def test_memory_above_4_gib_is_seen_and_a_reservation_avoided(image: Path, root: Path, tmp_path: Path) -> None:
    arguments: list[str | Path] = [
        image,
        "--initrd",
        root,
        "--initrd",
        quick_init(tmp_path),
        "--memory",
        "5G",
        "--cpus",
        "3",
    ]
    # What follows "--" is for init: nothing may be added there.
    ran = run(tmp_path, *arguments, "--crashkernel", "256M", "--append", "panic=1 -- one two")
    assert ran.status == 0, ran.result
    assert ran.boot["processors"] == 3
    assert " cpus=3 " in ran.boot["first_words"]
    assert re.search(r"BIOS-e820: \[mem 0x0000000100000000-0x00000001bfffffff\] usable", ran.console)
    assert "Kernel command line: panic=1 console=ttyS0 -- one two" in ran.console
    crash = Facts.of_pc(5 << 30, crashkernel=256 * MIB).crash_kernel[0]
    for segment in ran.stage("place")["figures"]["segments"]:
        assert segment["mem"] + segment["memsz"] <= crash.start or segment["mem"] >= crash.end, segment


def test_without_an_initrd_the_kernels_own_words_say_why(image: Path, tmp_path: Path) -> None:
    ran = run(tmp_path, image)
    assert ran.status == 1
    assert ran.stage("boot")["outcome"] == "failed"
    assert ran.verdict.startswith("boot failed: Kernel panic - not syncing: VFS: Unable to mount root fs")
    assert "--initrd" in ran.result["hint"]
    assert "Kernel panic - not syncing" in ran.console
    assert "end Kernel panic" in ran.console  # its last words are kept too


def test_an_init_that_cannot_run(image: Path, tmp_path: Path) -> None:
    initrd = archive(tmp_path, "initrd", [cpio.file("init", b"#!/bin/missing\n", 0o755)])
    # Lines without timestamps must not be taken for an init that speaks.
    ran = run(tmp_path, image, "--initrd", initrd, "--append", "printk.time=0 debug")
    assert ran.status == 1, ran.result
    assert ran.verdict.startswith("boot failed: Kernel panic - not syncing: No working init found.")
    assert "(before it: Failed to execute /init (error -2))" in ran.verdict
    assert ran.result["hint"]


def test_an_init_that_speaks_and_dies(image: Path, root: Path, tmp_path: Path) -> None:
    script = b"#!/bin/busybox sh\necho I am here\n/bin/busybox usleep 50000\nexit 3\n"
    initrd = archive(tmp_path, "initrd", [cpio.file("init", script, 0o755)])
    ran = run(tmp_path, image, "--initrd", root, "--initrd", initrd)
    assert ran.status == 1, ran.result
    assert ran.boot["first_words"] == "I am here"
    assert "Attempted to kill init! exitcode=0x00000300" in ran.verdict


def test_a_damaged_initrd_is_named(image: Path, tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(os.urandom(64 << 10))
    ran = run(tmp_path, image, "--initrd", tmp_path / "initrd")
    assert ran.status == 1, ran.result
    assert "(before it: Initramfs unpacking failed: " in ran.verdict


def test_until_a_text_that_never_comes(image: Path, root: Path, tmp_path: Path) -> None:
    """On a machine with more RAM below 4 GiB than QEMU's has: what is too much is left out."""
    iomem = "00001000-0009fbff : System RAM\n00100000-dfffefff : System RAM\n100000000-11fffffff : System RAM\n"
    (tmp_path / "facts.json").write_text(replace(Facts.of_pc(4 << 30), iomem=iomem).to_json())
    arguments: list[str | Path] = ["--initrd", root, "--initrd", quick_init(tmp_path), "--until", "login:"]
    ran = run(tmp_path, image, *arguments, "--like", tmp_path / "facts.json")
    assert ran.status == 1, ran.result
    assert ran.verdict.startswith("boot failed: the machine powered off before 'login:'; last on the console: ")


def test_time_that_is_too_short(image: Path, root: Path, tmp_path: Path) -> None:
    ran = run(tmp_path, image, "--initrd", root, "--timeout", "0.2")
    assert ran.status == 4
    assert ran.verdict.startswith("boot failed: no user space in time; last on the console: ")
    assert "--timeout" in ran.result["hint"]
    assert ran.stage("boot")["seconds"] < 30


@pytest.mark.parametrize("broken", ["absent", "wrong name"])
def test_without_qemu_all_but_the_boot_is_tried(broken: str, image: Path, root: Path, tmp_path: Path) -> None:
    environment = {"WARMBOOT_QEMU": "" if broken == "absent" else "/nowhere/qemu"}
    nowhere = "import sys, warmboot.programs; warmboot.programs.PATH = ''; from warmboot.cli.main import main"
    program = [sys.executable, "-c", f"{nowhere}; sys.exit(main())", "rehearse"]
    ran = run(tmp_path, image, "--initrd", root, environment=environment, program=program)
    assert ran.status == 3
    assert ran.result["qemu_version"] is None
    assert [each["outcome"] for each in ran.result["stages"]] == ["passed"] * 5 + ["not tried"]
    assert ran.stage("hand over")["figures"]["digest"] == "verified in this process"
    assert ran.verdict.startswith("it loads, and the new kernel's entry point is reached; boot not tried: ")
    if broken == "absent":
        assert ran.result["hint"] == "apt-get install --no-install-recommends qemu-system-x86"
    else:
        assert "WARMBOOT_QEMU=/nowhere/qemu: not a program" in ran.verdict


def test_no_boot_stops_at_the_entry_point(image: Path, root: Path, tmp_path: Path) -> None:
    ran = run(tmp_path, image, "--initrd", root, "--no-boot", "--append", "quiet")
    assert ran.status == 0
    assert ran.verdict.endswith("boot not tried: --no-boot")
    assert ran.result["hint"] == ""
    assert ran.stage("place")["figures"]["command_line"] == "quiet"
    assert ran.stage("hand over")["figures"]["registers"]["rip"] == ran.stage("place")["figures"]["kernel_entry"]
    assert not (tmp_path / "console.txt").exists()


def test_a_person_sees_stages_console_and_verdict(image: Path, root: Path, tmp_path: Path) -> None:
    initrds = ["--initrd", str(root), "--initrd", str(quick_init(tmp_path))]
    done = subprocess.run(
        [*PROGRAM, str(image), *initrds], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[:10].rstrip() for line in lines if line[:1].strip()] == [*STAGES, "verdict"]
    assert "passed   half_of_memory" in done.stdout
    assert any(line.startswith("  | ") and "Linux version" in line for line in lines)
    assert re.fullmatch(r"verdict   it loads, and it boots: user space \d+\.\d s after the hand-over", lines[-1]), (
        lines[-1]
    )
    assert "\x1b" not in done.stdout


def test_a_reader_that_has_seen_enough(image: Path, root: Path) -> None:
    command = [*PROGRAM, str(image), "--initrd", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"inspect ")
        process.stdout.close()
        assert process.wait(PATIENCE) == 1
        assert process.stderr.read() == b""
        assert qemus_of(process.pid) == []


def test_an_interrupt_ends_everything(image: Path, root: Path) -> None:
    command = [*PROGRAM, str(image), "--initrd", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if b"Linux version" in line:
                break
        qemus = qemus_of(process.pid)
        assert len(qemus) == 1
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == b""
        assert not is_running(qemus[0])
