"""Facts of computers that this does not run on: a real kernel log, real maps, reports, and what is none of these."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.errors import InputError, MissingToolError
from warmboot.live import over_ssh
from warmboot.live.facts import read_facts
from warmboot.live.from_files import facts_from
from warmboot.live.gathered import MOST_BYTES, SCRIPT, facts_of, known_name, read_gathered
from warmboot.live.kernel_log import read_log
from warmboot.live.over_ssh import facts_over_ssh
from warmboot.memmap import Facts, Range
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.read_trace import read_header
from warmboot.programs import find_program

TRACES = Path(__file__).parents[1] / "traces"
UNAME = "Linux host 6.12.117+deb12-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-11-14) x86_64 GNU/Linux\n"
LOG = """\
[    0.000000] Linux version 6.1.0-28-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP
[    0.000000] Command line: root=/dev/sda1 quiet
[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] usable
[    0.000000] BIOS-e820: [mem 0x0000000040000000-0x00000000400fffff] ACPI NVS
[    0.000000] efi: EFI v2.7 by EDK II
[    0.010000] Reserving 128MB of memory at 512MB for crashkernel (System RAM: 1023MB)
"""


def recorded(name: str) -> Facts:
    return read_header(next(iter(read_lines(str(TRACES / name)))), name)


@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
@pytest.mark.needs_qemu
def test_a_real_kernel_log(series: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The guest's log out of its dump has what firmware told, and where the reservation lies."""
    assert main(["dump", "dmesg", str(vmcore(series))]) == 0
    path = tmp_path / "dmesg"
    path.write_text(capsys.readouterr().out)
    facts, lacked = facts_from([str(path)])
    assert facts.release.startswith(f"{series}.")
    assert "crashkernel=" in facts.cmdline
    assert len(facts.crash_kernel) >= 1
    assert all(any(ram.contains(each) for ram in facts.system_ram) for each in facts.crash_kernel)
    assert any("/proc/iomem" in each for each in lacked)
    assert 0 < facts.totalram_pages * 4096 <= sum(each.size for each in facts.system_ram)


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.xz")), ids=lambda each: each.stem)
def test_a_real_map_that_is_pasted(path: Path, tmp_path: Path) -> None:
    """As Linux printed it, indented once more, with the words of a mail around it."""
    known = recorded(path.name)
    paste = tmp_path / "mail.txt"
    body = "".join(f"  {line}\n" for line in known.iomem.splitlines())
    paste.write_text(f"Hi,\n\nthis is what I have:\n{body}\n{UNAME}MemTotal:  {known.totalram_pages * 4} kB\n")
    facts, _ = facts_from([str(paste)])
    assert facts.e820 == known.e820
    assert facts.crash_kernel == known.crash_kernel
    assert facts.totalram_pages == known.totalram_pages
    assert facts.release == "6.12.117+deb12-amd64"


def test_a_log_and_a_map_of_one_machine(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    facts, _ = facts_from([str(tmp_path / "log")])
    assert facts.system_ram == [Range(0, 0x9FC00), Range(0x100000, 0x40000000)]
    assert facts.crash_kernel == [Range(512 << 20, 640 << 20)]
    assert facts.efi
    (tmp_path / "iomem").write_text("00100000-2fffffff : System RAM\n  10000000-1fffffff : Crash kernel\n")
    both, _ = facts_from([str(tmp_path / "log"), str(tmp_path / "iomem")])
    assert both.system_ram == [Range(0x100000, 0x30000000)]
    assert both.host.system_ram[-1] == Range(0x100000, 0x40000000)  # firmware's map, before mem=
    (tmp_path / "iomem").write_text("00000000-00000000 : System RAM\n  00000000-00000000 : Crash kernel\n")
    assert facts_from([str(tmp_path / "log"), str(tmp_path / "iomem")])[0].system_ram == facts.system_ram
    assert "no memory map with addresses" in refused([str(tmp_path / "iomem")])


def refused(paths: list[str]) -> str:
    with pytest.raises(InputError) as caught:
        facts_from(paths)
    assert caught.value.hint
    return str(caught.value)


def report(root: Path) -> Path:
    known = recorded("linux-6.12-main.jsonl.xz")
    files = {
        "proc/iomem": known.iomem,
        "proc/cmdline": f"{known.cmdline}\n",
        "proc/meminfo": f"MemTotal: {known.totalram_pages * 4} kB\n",
        "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu pdpe1gb\n",
        "sos_commands/kernel/uname_-a": UNAME,
        "sos_commands/kernel/dmesg": LOG,
        "boot/config-6.12.117+deb12-amd64": "CONFIG_KEXEC=y\nCONFIG_KEXEC_FILE=y\n# CONFIG_KEXEC_JUMP is not set\n",
        "etc/shadow": "not looked at\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize("kind", ["folder", "around", "tar", "tar.gz", "tar.xz"])
def test_an_sosreport(kind: str, tmp_path: Path) -> None:
    root = report(tmp_path / "around" / "sosreport-web1-2026-11-26")
    path = {"folder": root, "around": root.parent}.get(kind, tmp_path / f"sosreport.{kind}")
    if kind.startswith("tar"):
        mode = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind]
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            archive.add(root, root.name)
    facts, _ = facts_from([str(path)])
    known = recorded("linux-6.12-main.jsonl.xz")
    assert (facts.e820, facts.crash_kernel, facts.cmdline) == (known.e820, known.crash_kernel, known.cmdline)
    assert (facts.kexec_load, facts.kexec_file_load, facts.gbpages) == ("yes", "yes", True)
    assert facts.kexec_known_by == "CONFIG_KEXEC and CONFIG_KEXEC_FILE in its configuration"


def test_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "it"
    assert "cannot be read" in refused([str(path)])
    for bad in (b"", b"hello\n", b"\0" * 4096, b"\xff" * 100, b"00100000-3fffffff : Video RAM\n"):
        path.write_bytes(bad)
        assert re.search("no memory map|nothing of an sosreport", refused([str(path)]))  # zeros are an empty archive
    path.write_text("00100000-3fffffff : System RAM\n")
    assert "no kernel release" in refused([str(path)])
    path.write_text("50000000-3fffffff : System RAM\n")
    assert "before its start" in refused([str(path)])
    path.write_bytes(b"x" * (MOST_BYTES + 1))
    assert "more than" in refused([str(path)])
    (tmp_path / "empty").mkdir()
    assert "no folder proc" in refused([str(tmp_path / "empty")])
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x/y"), io.BytesIO())
    assert "nothing of an sosreport" in refused([str(tmp_path / "a.tar.gz")])
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        archive.add(report(tmp_path / "r"), "r")
    path.write_bytes(whole.getvalue()[:-200])
    assert refused([str(path)])


def test_the_script_finds_what_is_read_here() -> None:
    """Run by this computer's own shell."""
    done = subprocess.run(["/bin/sh", "-s"], input=SCRIPT.encode(), capture_output=True, timeout=120, check=True)
    assert done.stderr == b""
    found = read_gathered(done.stdout, "here")
    here = read_facts() if os.geteuid() == 0 else None
    if here is None:
        return
    facts, _ = facts_of(found, "here")
    for name in ("release", "cmdline", "iomem", "cpus", "la57", "gbpages", "rsdp", "efi", "numa_nodes", "lockdown"):
        mine, theirs = getattr(here, name), getattr(facts, name)
        assert (mine.strip() if isinstance(mine, str) else mine) == (
            theirs.strip() if isinstance(theirs, str) else theirs
        ), name
    assert (facts.firmware_memmap, facts.physical_address_bits) == (here.firmware_memmap, here.physical_address_bits)


@pytest.mark.parametrize("config", [None, "", "CONFIG_KEXEC=y\n"])
def test_a_host_that_has_no_configuration_to_show(config: str | None) -> None:
    """Whether it has the calls is not known then; that the script found none is no configuration without them."""
    known = recorded("linux-6.12-main.jsonl.xz")
    files = {"machine": "x86_64\n", "proc/iomem": known.iomem, "proc/sys/kernel/osrelease": "6.12.1\n"}
    files |= {} if config is None else {"config": config}
    lines = [line for name, text in files.items() for line in [f"={name}", *(f" {each}" for each in text.splitlines())]]
    facts, lacked = facts_of(read_gathered("\n".join([*lines, "=end", ""]).encode(), "web1"), "web1")
    assert facts.kexec_load == ("yes" if config else None)
    assert ("the kernel's configuration" in lacked) is not bool(config)


@pytest.mark.parametrize(
    "name",
    [
        "../etc/passwd",
        "/proc/iomem",
        "proc/../x",
        "",
        "sys/firmware/memmap/0/../../x",
        "sys/firmware/memmap/9999999/end",
    ],
)
def test_names_of_others_are_none_of_ours(name: str) -> None:
    assert known_name(name) is None


_PARTS = (
    *(b"=machine", b" x86_64", b"=proc/iomem", b" 00100000-3fffffff : System RAM", b"+proc/iomem", b"=end"),
    *(b"=sys/firmware", b"+sys/firmware", b"+sys/firmware/efi", b"=sys/firmware/efi/systab", b" \xff\0", b""),
    *(b"=proc/sys/kernel/osrelease", b" 6.12.1", b" ../../x", b"=config", b" CONFIG_KEXEC=y", b"=proc/meminfo"),
    *(b" MemTotal: 1000 kB", b" MemTotal: 99999999999999999999999999 kB", b"=proc/cpuinfo", b" processor : 0"),
    *(b"=sys/firmware/memmap/1/start", b" 0x0", b"+sys/devices/system/node/node0/memory1", b" aarch64", b"garbage"),
    *(b"=log", b" BIOS-e820: [mem 0xffffffffffffffff-0xffffffffffffffff] usable", b" Linux version 6.1.0"),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_PARTS), max_size=24))
def test_whatever_a_host_says(parts: list[bytes]) -> None:
    with suppress(InputError):
        facts_of(read_gathered(b"\n".join([*parts, b"=end", b""]), "host"), "host")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=40))
def test_whatever_a_log_says(text: str, word: str) -> None:
    read_log(text)
    read_log(f"Linux version {word}\nBIOS-e820: [mem 0x{word}-0xfff] usable\nMemory: {word}K/1K available")


def test_hosts_that_are_not_reached(tmp_path: Path) -> None:
    """One line of what, one of what helps, for each; what looks like an option is none."""
    config = tmp_path / "config"
    config.write_text("Host gone\n  HostName 127.0.0.1\n  Port 1\n")
    code = "import sys; from warmboot.cli.main import main; sys.exit(main())"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "facts", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    done = run("--ssh-config", str(config), "gone", "gone")
    lines = done.stderr.splitlines()
    if "ssh is not installed" in lines[0]:
        assert done.returncode == 3
    else:
        assert (done.returncode, done.stdout, len(lines)) == (3, "", 4)
        assert lines[0].startswith("warmboot: gone: ssh: connect to host 127.0.0.1 port 1")
        assert lines[1].startswith("  try: it must work without a question")
    done = run("--", "-oProxyCommand=false")
    assert done.returncode == 2
    assert "is no host" in done.stderr


def test_a_program_that_ssh_leaves_behind(tmp_path: Path) -> None:
    """It has ssh's standard error, as a ControlPersist has too, and lives on: its end is not waited for."""
    pid = tmp_path / "pid"
    config = tmp_path / "config"
    config.write_text(f"Host gone\n  ProxyCommand sh -c 'echo $$ >{pid}; exec sleep 600'\n")
    if find_program("ssh") is None:
        with pytest.raises(MissingToolError):
            list(facts_over_ssh(["gone"]))
        return
    [found] = facts_over_ssh(["gone"], timeout=1.0, config=str(config))
    assert "no answer in 1 seconds" in str(found.error)
    if pid.exists():  # a busy computer may not have come so far
        os.kill(int(pid.read_text()), signal.SIGKILL)  # which is an error where it has ended


@pytest.mark.parametrize("size", [100, 3 << 20, 9 << 20])
def test_a_host_that_says_much(size: int) -> None:
    """Too much is refused, and what it says on standard error is bounded as well."""
    code = f"import sys; sys.stderr.write('e' * {size}); sys.stdout.write('x\\n' * {size // 2}); sys.exit(255)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as said:
        heard = over_ssh._exchange(said, time.monotonic() + 100)
        said.kill()
    assert len(heard.words) == min(size, 4096)
    assert (heard.status, len(heard.output)) == ((255, size) if size <= 4 << 20 else (None, (4 << 20) + 1))


def test_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text(LOG)
    assert main(["facts", "--from", str(tmp_path / "log")]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert len(found["lacked"]) == len(told.err.splitlines()) >= 2
    assert Facts.from_json(told.out).efi
