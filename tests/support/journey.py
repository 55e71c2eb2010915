"""A journey: a computer in QEMU whose kernels start one another by kexec, each hop a shell script in the guest.

The guest has busybox, Python, kexec-tools and this checkout's warmboot; whatever a hop needs lies in /stage. Each
kernel finds the number of its hop on its command line, tells what it is, and plays its script, which loads
/stage/initrd with the next kernel and starts that.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.guests import FAST, STAGE, SYSTEM, shell, stage_disk, system_disk
from warmboot.debian import cpio, kernel
from warmboot.debian.firmware import efi_firmware
from warmboot.machines.accel import Accel, accel_option, choose, cpu_model
from warmboot.machines.qemu import find_qemu

__all__ = ["BOOT", "INIT", "Hop", "Journey", "console", "disk", "initial_ram_disk", "kernel_file", "qemu", "travel"]

BOOT = f"console=ttyS0 quiet panic=-1 {FAST}"  # what every kernel of a journey is told

INIT = (
    """\
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
dmesg -n 1
for label in SYSTEM STAGE; do
    until disk=$(findfs LABEL=$label 2>/dev/null); do usleep 10000; done
    mount -t ext4 -o ro $disk /disks/$label
done
hop=0
for word in $(cat /proc/cmdline); do case $word in hop=*) hop=${word#hop=};; esac; done
next=$((hop + 1))
efi=no; [ -d /sys/firmware/efi ] && efi=yes
acpi=no; [ -e /sys/firmware/acpi/tables/DSDT ] && acpi=yes
line="BOOT hop=$next"
say() { printf '@@ %s %s\\n' "$hop" "$*"; }
# Run a command, with all it says, and tell its status.
run() { say "run $*"; "$@" 2>&1 | sed "s/^/@@ $hop : /"; }
try() { say "run $*"; "$@" >/tmp/said 2>&1; s=$?; sed "s/^/@@ $hop : /" /tmp/said; say "status $s"; return $s; }
ours() { /opt/warmboot/kexec "$@"; }
theirs() { /sbin/kexec "$@"; }
warmboot() { /opt/warmboot/warmboot "$@"; }
memory=$(sed -n "s/^MemTotal: *//p" /proc/meminfo | tr -d " ")
told=$(tr " " , </proc/cmdline)
say "up release=$(uname -r) efi=$efi acpi=$acpi cpus=$(nproc) memory=$memory line=$told"
if [ -e /stage/hops/$hop ]; then . /stage/hops/$hop; else say "end"; fi
poweroff -f
""".replace("BOOT", BOOT)
    .replace("SYSTEM", SYSTEM)
    .replace("STAGE", STAGE)
)

_SAID = re.compile(r"@@ (\d+) (up|run|status|end|:) ?(.*)")


@dataclass(slots=True)
class Hop:
    """What one kernel of the journey said: its facts (release, efi, memory ...), its commands and their words."""

    facts: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that the commands printed."""
        return "\n".join(self.lines)


@dataclass(slots=True)
class Journey:
    """All hops by number, and the whole console, with the time of each line by time.monotonic()."""

    hops: dict[int, Hop] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def last_words(self, count: int = 40) -> str:
        """The console's last lines, for a failed test's message."""
        return "\n".join(self.console[-count:])


def travel(
    first: Path,
    scripts: Sequence[str],
    stage: Mapping[str, bytes],
    *,
    memory: str = "1G",
    append: str = "",
    efi: bool = False,
    cpus: int = 1,
    timeout: float = 300.0,
    more: Sequence[str] = (),
) -> Journey:
    """Boot the kernel file `first`, let each hop play its script, and listen until the guest powers off.

    `stage` holds the files of /stage by name; its initrd is the one that every hop needs. `more` are QEMU's options.
    Ends with the guest, or after `timeout` seconds without a word.
    """
    initrd = initial_ram_disk()
    files = {**stage, "initrd": initrd} | {f"hops/{number}": each.encode() for number, each in enumerate(scripts)}
    command = qemu(first, memory, f"{BOOT} {append} hop=0", cpus)
    if efi:
        command += ["-bios", str(efi_firmware())]
    with stage_disk(files) as own, tempfile.NamedTemporaryFile() as file:
        file.write(initrd)
        file.flush()
        command += ["-initrd", file.name, *disk(SYSTEM, system_disk(), 1), *disk(STAGE, own, 2), *more]
        journey = Journey()
        for line in console(command, timeout):
            _note(journey, line)
        return journey


def initial_ram_disk() -> bytes:
    """A shell that mounts the disks and plays the script of its hop."""
    system = ("usr", "lib", "lib64", "etc", "sbin/kexec")
    entries = [cpio.symlink(each, f"/disks/{SYSTEM}/{each}") for each in system]
    entries += [cpio.symlink(each, f"/disks/{STAGE}/{each}") for each in ("opt", "stage")]
    entries += [cpio.directory(f"disks/{each}") for each in (SYSTEM, STAGE)]
    return shell(INIT.encode(), entries)


def kernel_file(series: str) -> Path:
    """Debian's kernel of that series."""
    return kernel(series)


def qemu(first: Path, memory: str, line: str, cpus: int) -> list[str]:
    """QEMU's command: the kernel file `first`, its command line, a serial port, and a controller for disks."""
    program = find_qemu()
    accel = choose(program)
    model = cpu_model(accel) + (",-erms,-fsrm" if accel is Accel.TCG else "")
    command = [str(program), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    # A small buffer is soon full, and emptied. What is still translated of a kernel that is gone makes the next one
    # slow, which writes over it: up to 18 s to its first line instead of 2.
    accelerator = accel_option(accel, *(["tb-size=64"] if accel is Accel.TCG else []))
    command += ["-accel", accelerator, "-cpu", model, "-machine", "pc", "-smp", str(cpus), "-m", memory]
    return [*command, "-device", "nvme,id=nvme,serial=1", "-kernel", str(first), "-append", line]


def disk(name: str, path: Path, number: int, *, writable: bool = False) -> list[str]:
    """QEMU's options for one more disk of its NVMe controller."""
    readonly = "off" if writable else "on"
    return [
        *("-drive", f"if=none,id={name},file={path},format=raw,readonly={readonly}"),
        *("-device", f"nvme-ns,bus=nvme,drive={name},nsid={number}"),
    ]


def console(command: list[str], timeout: float) -> Iterator[str]:
    """The lines of the serial port; QEMU is ended when its words run dry."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        rest, deadline = b"", time.monotonic() + timeout
        try:
            while select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                deadline = time.monotonic() + timeout
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace").rstrip("\r")
        finally:
            process.kill()
    yield rest.decode("utf-8", "replace")


def _note(journey: Journey, line: str) -> None:
    journey.console.append(line)
    journey.times.append(time.monotonic())
    found = _SAID.search(line)
    if found is None:
        return
    hop = journey.hops.setdefault(int(found[1]), Hop())
    match found[2]:
        case "up":
            hop.facts = dict(word.split("=", 1) for word in found[3].split())
        case "run":
            hop.commands.append(found[3])
        case "status":
            hop.statuses.append(int(found[3]))
        case ":":
            hop.lines.append(found[3])
