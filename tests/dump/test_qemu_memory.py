"""What QEMU itself has and writes of a guest: its memory as a file, and dump-guest-memory, with and without VMCOREINFO;
and what ramoops kept of the crash."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.guests import FAST, shell
from support.journey import kernel_file
from support.kernel_modules import module_file
from support.monitor import connected, until
from warmboot.cli.main import main
from warmboot.debian import cpio
from warmboot.dump.diff import diff_dumps
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.flat_file import FlatFile
from warmboot.dump.kdump_core import KdumpCore
from warmboot.dump.log import log_records
from warmboot.dump.opening import open_dump
from warmboot.dump.ramoops import zones_of
from warmboot.dump.raw_core import RawCore
from warmboot.dump.source import Source
from warmboot.machines.accel import accel_option, choose, cpu_model
from warmboot.machines.qemu import find_qemu

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process, pytest.mark.slow(30)]

PATIENCE = 600.0  # seconds: never what it takes
RAMOOPS, RAMOOPS_SIZE = 0x8000000, 1 << 20
FORMATS = {"elf": "", "zlib": "-z"}  # QEMU of Debian 12 is built without lzo and snappy

_INIT = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules); do insmod /$module.ko; done
insmod /ramoops.ko mem_address={RAMOOPS:#x} mem_size={RAMOOPS_SIZE:#x} record_size=0x10000 ecc=16
echo "<1>a message of the guest" >/dev/kmsg
exec 3<>/dev/ttyS1
stty raw -echo <&3
dmesg >&3
echo "@@ ready" >&3
head -n 1 <&3 >/dev/null
echo c >/proc/sysrq-trigger
"""


@dataclass
class Guest:
    """What a guest said, and its files."""

    log: list[str]  # as its own dmesg tells it, before it was dumped
    files: dict[str, Path] = field(default_factory=dict)


@contextmanager
def running(folder: Path, series: str, modules: Sequence[str], options: Sequence[str]) -> Iterator[Path]:
    """A guest whose second serial port and monitor are in `folder`."""
    entries = [cpio.file(f"{name}.ko", module_file(series, name)) for name in (*modules, "reed_solomon", "ramoops")]
    entries.append(cpio.file("modules", "\n".join((*modules, "reed_solomon")).encode()))
    (folder / "initrd").write_bytes(shell(_INIT.encode(), entries))
    qemu = find_qemu()
    accel = choose(qemu)
    line = f"console=ttyS0 quiet panic=-1 {FAST} memmap={RAMOOPS_SIZE >> 20}M${RAMOOPS:#x}"
    command = [
        str(qemu),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-accel",
        accel_option(accel),
    ]
    command += ["-cpu", cpu_model(accel), "-serial", f"file:{folder}/console", *options]
    command += [
        "-serial",
        f"unix:{folder}/port,server=on,wait=off",
        "-monitor",
        f"unix:{folder}/monitor,server=on,wait=off",
    ]
    command += ["-kernel", str(kernel_file(series)), "-initrd", str(folder / "initrd"), "-append", line]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield folder
            process.wait(PATIENCE)
        finally:
            process.kill()


def crashed(folder: Path, series: str, modules: Sequence[str], options: Sequence[str], formats: Sequence[str]) -> Guest:
    """A guest that was dumped while it ran, and then panicked."""
    with running(folder, series, modules, options), connected(folder / "port") as port:
        port.settimeout(PATIENCE)
        said = until(port, b"@@ ready").decode("utf-8", "replace").replace("\r", "")
        guest = Guest(said.partition("@@ ready")[0].split("\n")[:-1])
        with connected(folder / "monitor") as monitor:
            monitor.settimeout(PATIENCE)
            until(monitor, b"(qemu) ")
            for name in formats:
                guest.files[name] = folder / name
                monitor.sendall(f"dump-guest-memory {FORMATS[name]} {folder}/{name}\n".encode())
                until(monitor, b"(qemu) ")
            port.sendall(b"go\n")
            while monitor.recv(1024):  # until it is gone
                pass
    return guest


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    """With memory above 4 GiB, which is in the file from 2 GiB on; QEMU knows nothing of VMCOREINFO."""
    folder = tmp_path_factory.mktemp("large")
    memory = f"memory-backend-file,id=ram,size=3G,mem-path={folder}/memory,share=on"
    machine = ["-machine", "q35,memory-backend=ram", "-m", "3G", "-object", memory]
    guest = crashed(folder, "6.12", (), machine, ("zlib",))
    guest.files["memory"] = folder / "memory"
    return guest


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    """Whose kernel tells QEMU where VMCOREINFO is."""
    machine = ["-machine", "pc", "-m", "256M", "-device", "vmcoreinfo"]
    return crashed(tmp_path_factory.mktemp("small"), "6.1", ("qemu_fw_cfg",), machine, tuple(FORMATS))


def log_of(source: Source) -> list[str]:
    lines = []
    for record in log_records(source):
        seconds, rest = divmod(record.time or 0, 1_000_000_000)
        for line in record.text.decode("utf-8", "replace").split("\n"):
            lines.append(f"[{seconds:5}.{rest // 1000:06}] {line}")
    return lines


def test_memory_as_a_file(large: Guest, capsys: pytest.CaptureFixture[str]) -> None:
    read = open_dump(large.files["memory"])
    assert isinstance(read, RawCore)
    assert list(read.ranges.runs()) == [range(2 << 30), range(4 << 30, 5 << 30)]
    found = log_of(read)
    assert found[: len(large.log)] == large.log
    assert any("Kernel panic - not syncing: sysrq triggered crash" in each for each in found[len(large.log) :])
    assert main(["dump", "dmesg", str(large.files["memory"])]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == found
    assert f"it was found in memory at {read.vmcoreinfo.found_at:#x}" in said.err
    assert main(["dump", "check", str(large.files["memory"])]) == 0
    assert main(["dump", "info", str(large.files["memory"])]) == 0
    assert "Kernel panic - not syncing: sysrq triggered crash" in capsys.readouterr().out


def test_a_dump_without_vmcoreinfo(large: Guest, tmp_path: Path) -> None:
    read = open_dump(large.files["zlib"])
    assert isinstance(read, KdumpCore)
    assert not read.noted
    assert read.vmcoreinfo.found_at is not None
    assert log_of(read)[: len(large.log)] == large.log
    # What both have is the same memory, but that the guest went on.
    memory = open_dump(large.files["memory"])
    text = read.vmcoreinfo.symbol("init_uts_ns")
    assert text is not None
    assert read.virtual(text, 256) == memory.virtual(text, 256)
    cut = tmp_path / "cut"  # where its pages are not there any more, but for those of zeros
    cut.write_bytes(large.files["zlib"].read_bytes()[: 30 << 20])
    assert main(["dump", "check", str(cut)]) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_dump_with_vmcoreinfo(name: str, small: Guest) -> None:
    read = open_dump(small.files[name])
    if name == "elf":
        assert isinstance(read, ElfCore)
    else:
        assert isinstance(read, KdumpCore)
        assert isinstance(read._file, FlatFile)
    assert read.noted
    assert log_of(read)[: len(small.log)] == small.log
    assert main(["dump", "check", str(small.files[name])]) == 0


def test_all_formats_have_the_same_memory(small: Guest) -> None:
    """They were written one after the other, so what differs is what a kernel that sleeps does in between."""
    found = diff_dumps(open_dump(small.files["elf"]), open_dump(small.files["zlib"]))
    assert (found.only_a, found.only_b, found.unreadable) == (0, 0, 0)
    assert found.same_kernel
    assert found.differs < found.equal // 100


def test_ramoops_in_memory(large: Guest, capsys: pytest.CaptureFixture[str]) -> None:
    zones = zones_of(open_dump(large.files["memory"]))
    [record] = zones  # Debian's kernels have neither PSTORE_CONSOLE nor PSTORE_PMSG: those zones are empty
    assert (record.at, record.kind, record.problem) == (RAMOOPS, "dmesg", "")
    assert record.text.startswith("Panic#1 Part1\n")
    assert "a message of the guest" in record.text
    assert "sysrq: Trigger a crash" in record.text
    assert main(["dump", "dmesg", "--ramoops", str(large.files["memory"])]) == 0
    said = capsys.readouterr()
    assert said.out == record.text + "\n"
    assert said.err.startswith(f"ramoops, dmesg at {RAMOOPS:#x}, of 20")


def test_ramoops_in_a_file_of_its_own(large: Guest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with large.files["memory"].open("rb") as file:
        file.seek(RAMOOPS)
        data = file.read(RAMOOPS_SIZE)
    (tmp_path / "zone").write_bytes(data)
    assert main(["dump", "dmesg", str(tmp_path / "zone")]) == 0
    said = capsys.readouterr()
    assert "Panic#1 Part1" in said.out
    assert "ramoops, dmesg at 0x0" in said.err
    assert main(["dump", "dmesg", "--json", str(tmp_path / "zone")]) == 0
    assert {each["kind"] for each in json.loads(capsys.readouterr().out)["zones"]} == {"dmesg"}
    (tmp_path / "small").write_bytes(data[: 64 << 10])  # less than any dump
    assert main(["dump", "dmesg", str(tmp_path / "small")]) == 0
    assert "Panic#1 Part1" in capsys.readouterr().out
    (tmp_path / "damaged").write_bytes(data[:300] + bytes(40) + data[340:])
    assert main(["dump", "dmesg", str(tmp_path / "damaged")]) == 0
    assert main(["dump", "dmesg", os.devnull]) == 2
