"""A guest whose kernels hand over: commands are sent to it by the second serial port, before a switch and after it.

It has busybox, Python, this checkout's warmboot, and whatever is staged. Its port 7007 is a port of this computer. Each
kernel starts the agent and the key-value server, unless told otherwise.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from support.guests import FAST, STAGE, SYSTEM, shell, stage_disk, system_disk
from support.told_guest import Said, ToldGuest
from warmboot.debian import cpio
from warmboot.machines.guest import Guest, GuestError

__all__ = ["BOOT", "KV", "SwitchGuest", "kernel_of"]

KV = 7007  # the server's port in the guest
BOOT = f"console=ttyS0 quiet panic=-1 {FAST}"
ON = "kho=on liveupdate=on"
_EXAMPLES = Path(__file__).parents[2] / "examples"
_INIT = f"""\
#!/bin/busybox sh
export PATH=/opt/warmboot:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/warmboot/src
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
dmesg -n 1
for label in {SYSTEM} {STAGE}; do
    until disk=$(findfs LABEL=$label 2>/dev/null); do usleep 5000; done
    mount -t ext4 -o ro $disk /disks/$label
done
ip link set lo up
ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
. /stage/start
echo "@@ up $(uname -r)" >&3
while read -r number command <&3; do
    eval "$command" >/tmp/said 2>&1 3>&-
    status=$?
    sed "s/^/@@ : /" /tmp/said >&3
    echo "@@ $number $status" >&3
done
"""
START = """\
warmboot switch --resume >/run/agent.log 2>&1 3>&- &
until [ -S /run/warmboot/liveupdate.socket ]; do usleep 2000; done
[ -e /stage/no-server ] || python3.11 -SB /stage/kv_server.py --size @size@ >/run/kv.log 2>&1 3>&- &
"""


def kernel_of(variant: str) -> Path:
    """The built kernel of that variant."""
    from warmboot.debian.built import built_kernel  # noqa: PLC0415 - written to the cache at first

    return built_kernel(variant)


def initial_ram_disk() -> bytes:
    """A shell that mounts the disks and does what it is told by the second port."""
    entries = [cpio.symlink(each, f"/disks/{SYSTEM}/{each}") for each in ("usr", "lib", "lib64", "etc")]
    entries += [cpio.symlink(each, f"/disks/{STAGE}/{each}") for each in ("opt", "stage")]
    entries += [cpio.directory(f"disks/{each}") for each in (SYSTEM, STAGE)] + [cpio.directory("run")]
    return shell(_INIT.encode(), entries)


class SwitchGuest(ToldGuest):
    """One computer that is started with `first`; the kernels in `others` are /stage/NAME. A context manager."""

    def __init__(
        self,
        first: Path,
        others: Mapping[str, Path],
        *,
        append: str = ON,
        memory: int = 512 << 20,
        start: str = START,
        cpus: int = 1,
        size: str = "16M",
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._stack = ExitStack()
        self.releases: list[str] = []
        self.port = _free_port()
        initrd = initial_ram_disk()
        staged = {name: path.read_bytes() for name, path in others.items()}
        staged |= {"initrd": initrd, "start": start.replace("@size@", size).encode(), **(files or {})}
        staged |= {f"{each}.py": (_EXAMPLES / f"{each}.py").read_bytes() for each in ("kv_server", "kv_load")}
        stage = self._stack.enter_context(stage_disk(staged))
        self._console = self._stack.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115 - the stack closes it
        options = [*_disk(0, system_disk()), *_disk(1, stage), "-action", "reboot=reset"]
        options += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:{KV}"]
        options += ["-device", "virtio-net-pci,netdev=net,romfile="]
        self.guest = self._stack.enter_context(
            Guest(
                first,
                [initrd],
                memory=memory,
                append=append,
                options=options,
                cpus=cpus,
                command_line=BOOT,
                console=self._console,  # type: ignore[arg-type]  # a file
                accelerator=["tb-size=64"],
            )
        )

    def up(self, timeout: float = 240.0) -> str:
        """Wait until a kernel has come up; its release, which is kept."""
        self.releases.append(super().up(timeout))
        return self.releases[-1]

    def until(self, command: str, timeout: float = 120.0) -> Said:
        """Run it again and again until it succeeds."""
        deadline = time.monotonic() + timeout
        while True:
            said = self.run(command)
            if said.status == 0 or time.monotonic() > deadline:
                return said
            time.sleep(0.2)

    def ask(self, *lines: str, patience: float = 240.0) -> list[str]:
        """What the key-value server answers."""
        deadline = time.monotonic() + patience
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5.0) as connection:
                    connection.sendall("".join(f"{each}\n" for each in lines).encode())
                    with connection.makefile() as file:
                        answers = [file.readline() for _ in lines]
                    if all(answers):
                        return [each.rstrip("\n") for each in answers]
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise GuestError("the server does not answer", self.guest.last_words())
            time.sleep(0.1)

    @property
    def console(self) -> str:
        """The whole console so far."""
        return Path(self._console.name).read_text("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _disk(number: int, path: Path) -> list[str]:
    return [
        *("-drive", f"if=none,id=d{number},file={path},format=raw,readonly=on"),
        *("-device", f"virtio-blk-pci,drive=d{number}"),
    ]


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
