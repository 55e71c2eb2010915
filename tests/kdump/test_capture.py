"""Debian 12 with systemd: the unit loads, the kernel panics, the initrd of initramfs-tools saves to a disk."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kdump_guest import CRASH, Told, boot, drive, dump_disk, files_of
from support.kdump_root import kdump_root
from warmboot.dump.log import log_text
from warmboot.dump.opening import open_dump

pytestmark = [
    pytest.mark.needs_qemu,
    pytest.mark.needs_apt,
    pytest.mark.needs_root,
    pytest.mark.one_process,
    pytest.mark.slow(60),
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11),
        reason="the guest has Python 3.11, and takes NumPy from here: run tools/test by python3.11",
    ),
]

TOML = 'kernel = "/boot/vmlinuz-{release}"\ndevice = "LABEL=dump"\nfolder = "/crash"\nafter = "poweroff"\n'
SCRIPT = f"""\
say() {{ echo "@@ $*"; }}
say active $(systemctl is-active warmboot-kdump)
say loaded $(cat /sys/kernel/kexec_crash_loaded)
say status $(warmboot kdump status --json)
say test $(warmboot kdump test --json)
systemctl stop warmboot-kdump; say stopped $(cat /sys/kernel/kexec_crash_loaded)
systemctl start warmboot-kdump; say started $(cat /sys/kernel/kexec_crash_loaded)
echo "{CRASH}" >/dev/kmsg; echo c >/proc/sysrq-trigger
"""


@pytest.fixture(scope="module")
def crashed() -> Iterator[tuple[Told, dict[str, Path], str]]:
    """The console, the files on the disk, and what making the initrd said."""
    root = kdump_root()
    settings = {"kdump.toml": TOML.format(release=root.release).encode()}
    initrd, said = root.initrd("initramfs-tools", settings)
    with tempfile.TemporaryDirectory() as folder:
        disk = dump_disk(Path(folder))
        more = drive("dump", disk, 3, writable=True)
        told = boot(root, initrd, SCRIPT, settings=settings, append="crashkernel=192M", more=more)
        yield told, files_of(disk, Path(folder, "content")), said


def answer(told: Told, name: str) -> str:
    """What the script said by that name."""
    return next((each.partition(f"@@ {name} ")[2] for each in told.lines if f"@@ {name} " in each), told.text[-3000:])


def test_the_initrd_is_small_and_tried(crashed: tuple[Told, dict[str, Path], str]) -> None:
    said = crashed[2]
    assert "loaded whole in that folder" in said
    packed = float(said.partition("/mnt/initrd: ")[2].partition(" MiB")[0])
    assert packed < 20


def test_the_unit_loads_at_boot_and_unloads(crashed: tuple[Told, dict[str, Path], str]) -> None:
    told = crashed[0]
    assert [answer(told, each) for each in ("active", "loaded", "stopped", "started")] == ["active", "1", "0", "1"]


def test_status_and_test_say_so_before_the_crash(crashed: tuple[Told, dict[str, Path], str]) -> None:
    state, trial = (json.loads(answer(crashed[0], each)) for each in ("status", "test"))
    assert (state["loaded"], state["reserved"], state["problems"]) == (True, 192 << 20, [])
    assert state["fit"]["fits"] is True
    assert {each["what"]: each["ok"] for each in trial["checks"]} == {"initrd": True, "writable": True, "room": True}


def test_the_dump_and_its_log_are_on_the_disk(crashed: tuple[Told, dict[str, Path], str]) -> None:
    told, files, _ = crashed
    assert told.ended, told.text[-3000:]
    assert "warmboot kdump: the dump is saved: LABEL=dump:/crash/" in told.text
    assert "warmboot kdump: now: poweroff" in told.text
    [vmcore] = (path for name, path in files.items() if name.endswith("/vmcore"))
    [log] = (path for name, path in files.items() if name.endswith("/vmcore-dmesg.txt"))
    assert CRASH in log.read_text()
    dump = open_dump(vmcore)
    assert dump.vmcoreinfo.release == kdump_root().release
    assert "".join(f"{line}\n" for line in log_text(dump)) == log.read_text()
    assert not [name for name in files if name.endswith((".incomplete", ".part"))]
