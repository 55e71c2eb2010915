"""--rescue in QEMU: a kernel that hangs is reset by the machine's watchdog, and `warmboot blackbox` tells the story."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from support import journey
from support.guests import STAGE, SYSTEM, ext4, stage_disk, system_disk
from support.rescue_guest import WATCHDOG, full_kernel, initrd_with_modules

pytestmark = pytest.mark.needs_qemu

_PAGE = 0x2000_0000  # the box, in a guest of 1 GiB
# What both boots by firmware do: the first, whose page is empty, starts a kernel that hangs; the second tells.
_SCRIPT = r"""
mkdir -p /var/lib/warmboot
until disk=$(findfs LABEL=notes 2>/dev/null); do usleep 10000; done
mount -t ext4 $disk /var/lib/warmboot
if [ ! -e /var/lib/warmboot/last-kexec.json ]; then
    try ours -e --rescue=20
    # The system's shutdown, too, comes with the watchdog started; this one stops it, and goes no further.
    {
        echo '#!/bin/busybox sh'
        echo 'echo "shutdown $*: $(cat /sys/class/watchdog/watchdog0/state)"; printf V >/dev/watchdog0'
    } >/sbin/shutdown
    chmod +x /sbin/shutdown
    try ours /stage/bz --command-line="console=ttyS0 quiet panic=0 FAST" --rescue=20
    sync
    ours -e 2>/dev/console
fi
try warmboot blackbox
printf '@@ %s json ' $hop; warmboot blackbox --json | tr -d '\n'; echo
say "end"
"""


def test_a_kernel_that_hangs_is_reset_and_its_story_is_told() -> None:
    script = _SCRIPT.replace("FAST", journey.BOOT.partition("panic=-1 ")[2])
    boot = f"{journey.BOOT} memmap=4K${_PAGE:#x} warmboot.blackbox={_PAGE:#x} hop=0"
    with stage_disk({"bz": journey.kernel_file("6.1").read_bytes()}) as own, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "notes").mkdir()
        initrd = Path(folder, "initrd")
        initrd.write_bytes(initrd_with_modules("6.12", script))
        notes = ext4(Path(folder) / "notes", "notes")
        command = journey.qemu(full_kernel("6.12"), "1G", boot, 1)
        command.remove("-no-reboot")  # the watchdog's reset is what is waited for
        disks = [*journey.disk(SYSTEM, system_disk(), 1), *journey.disk(STAGE, own, 2)]
        disks += journey.disk("notes", notes, 3, writable=True)
        lines = list(journey.console([*command, "-initrd", str(initrd), *disks, *WATCHDOG], 300.0))
    told = "\n".join(lines)
    assert "@@ 0 : Nothing has been loaded!" in told
    assert "@@ 0 : shutdown -r now: active" in told
    assert "added to the command line: watchdog.open_timeout=20" in told
    assert "--rescue: i6300ESB timer (watchdog0) resets the machine in 20 s" in told
    assert "entered the kernel at" in told, told[-4000:]
    story = json.loads(next(line.partition(" json ")[2] for line in lines if " json {" in line))
    assert story["failed"]
    assert (story["stage"], story["boot"], story["rescue"]) == ("entering", "firmware", 20)
    assert (story["reset_by"], story["loaded"]) == ("i6300ESB timer", "6.1.0-56-cloud-amd64"[: len(story["loaded"])])
    assert "of --rescue (i6300ESB timer) reset it" in story["told"]
    assert "watchdog" not in [each["rule"] for each in story["causes"]]
