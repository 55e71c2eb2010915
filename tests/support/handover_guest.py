"""A guest that hands over: kernels with KHO and LUO, one after the other by kexec, each playing its hop's script.

It is like a journey (`support.journey`), but its memory is a file that the test reads from outside, and a script waits
at `halt NAME` until the test has looked. Disks are virtio's: kernels with KHO are built with little else.
"""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.guests import FAST, STAGE, SYSTEM, shell, stage_disk, system_disk
from warmboot.debian import cpio
from warmboot.machines.accel import Accel, accel_option, cpu_model
from warmboot.machines.qemu import find_qemu

__all__ = ["KHO", "Guest", "guest"]

KHO = "kho=on liveupdate=on"
_BOOT = f"console=ttyS0 quiet panic=-1 {KHO} {FAST}"
_INIT = (
    """\
#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t debugfs debugfs /sys/kernel/debug
mount -t tmpfs tmpfs /tmp
for label in SYSTEM STAGE; do
    until disk=$(findfs LABEL=$label 2>/dev/null); do usleep 10000; done
    mount -t ext4 -o ro $disk /disks/$label
done
hop=0
for word in $(cat /proc/cmdline); do case $word in hop=*) hop=${word#hop=};; esac; done
line="BOOT hop=$((hop + 1))"
say() { printf '@@ %s %s\\n' "$hop" "$*"; }
# Run a command, with all it says, and tell its status.
run() { say "run $*"; "$@" >/tmp/said 2>&1; s=$?; sed "s/^/@@ $hop : /" /tmp/said; say "status $s"; return $s; }
halt() { say "halt $1"; read -r _ </dev/console; }
kexec() { /opt/warmboot/kexec "$@"; }
warmboot() { /opt/warmboot/warmboot "$@"; }
python() { python3.11 -SIB "$@"; }
say "up $(uname -r)"
if [ -e /stage/hops/$hop ]; then . /stage/hops/$hop; fi
say end
poweroff -f
""".replace("BOOT", _BOOT)
    .replace("SYSTEM", SYSTEM)
    .replace("STAGE", STAGE)
)


@dataclass(slots=True)
class Guest:
    """A guest that runs. `memory` is the file of its memory, `qmp` the socket of its monitor."""

    process: subprocess.Popen[bytes]
    memory: Path
    qmp: Path
    timeout: float
    console: list[str] = field(default_factory=list)
    _rest: bytes = b""

    def until(self, words: str, mark: str = "@@ ") -> list[str]:
        """Listen until a line has `mark`, and these words behind it; the lines since the last call."""
        heard: list[str] = []
        for line in self._lines():
            self.console.append(line)
            heard.append(line)
            if mark + words in line:
                return heard
            if " halt " in line and "@@ " in line:
                break  # it waits for us
        raise AssertionError(f"the guest ended, or was silent, before {words!r}:\n" + "\n".join(self.console[-60:]))

    def go_on(self) -> None:
        """Let the script go on that waits at `halt`."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def _lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + self.timeout
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                yield line.decode("utf-8", "replace").rstrip("\r")
                continue
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                return
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                return
            deadline = time.monotonic() + self.timeout
            self._rest += piece


@contextmanager
def guest(
    kernel: Path,
    scripts: Sequence[str],
    stage: Mapping[str, bytes],
    *,
    memory: int = 1 << 30,
    append: str = "",
    cpus: int = 1,
    timeout: float = 300.0,
) -> Iterator[Guest]:
    """Boot `kernel`; each hop plays its script. `stage` holds the files of /stage; /stage/initrd is what hops need."""
    initrd = _initrd()
    files = {**stage, "initrd": initrd} | {f"hops/{number}": each.encode() for number, each in enumerate(scripts)}
    with stage_disk(files) as own, tempfile.TemporaryDirectory() as folder:
        ram, first, qmp = (Path(folder, name) for name in ("memory", "initrd", "qmp"))
        ram.touch()
        os.truncate(ram, memory)
        first.write_bytes(initrd)
        backend = f"memory-backend-file,id=ram,size={memory},mem-path={ram},share=on"
        command = [str(find_qemu()), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        command += ["-serial", "stdio", "-accel", accel_option(Accel.TCG, "tb-size=64")]
        command += ["-cpu", f"{cpu_model(Accel.TCG)},-erms,-fsrm", "-smp", str(cpus), "-m", f"{memory >> 20}M"]
        command += ["-qmp", f"unix:{qmp},server=on,wait=off"]
        command += ["-object", backend, "-machine", "pc,memory-backend=ram"]
        command += [*_disk(SYSTEM, system_disk()), *_disk(STAGE, own)]
        command += ["-kernel", str(kernel), "-initrd", str(first), "-append", f"{_BOOT} {append} hop=0"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
            try:
                yield Guest(qemu, ram, qmp, timeout)
            finally:
                qemu.kill()


def _initrd() -> bytes:
    system = ("usr", "lib", "lib64", "etc")
    entries = [cpio.symlink(each, f"/disks/{SYSTEM}/{each}") for each in system]
    entries += [cpio.symlink(each, f"/disks/{STAGE}/{each}") for each in ("opt", "stage")]
    entries += [cpio.directory(f"disks/{each}") for each in (SYSTEM, STAGE)]
    return shell(_INIT.encode(), entries)


def _disk(name: str, path: Path) -> list[str]:
    return [
        *("-drive", f"if=none,id={name},file={path},format=raw,readonly=on"),
        *("-device", f"virtio-blk-pci,drive={name}"),
    ]
