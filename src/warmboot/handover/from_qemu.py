"""The handover of a guest in QEMU that runs: its memory is written by QEMU itself, which stops it meanwhile."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from warmboot.errors import InputError, RefusedError
from warmboot.handover.from_file import look_file
from warmboot.handover.look import Look
from warmboot.machines.qmp import Monitor, MonitorError
from warmboot.visible import visible

__all__ = ["look_qemu"]


def look_qemu(path: Path) -> Look:
    """Every handover in the memory of the guest whose QMP socket is at `path`.

    QEMU writes a dump to a folder of ours (dump-guest-memory), which is removed afterwards. Raises InputError where
    nothing answers there, RefusedError where QEMU does not write it.
    """
    name = visible(str(path))
    with tempfile.TemporaryDirectory(prefix="warmboot-") as folder, socket.socket(socket.AF_UNIX) as channel:
        try:
            channel.connect(str(path))
        except OSError as error:
            raise InputError(
                f"{name}: {error.strerror}", hint="start QEMU with -qmp unix:SOCKET,server=on,wait=off"
            ) from None
        dump = Path(folder, "memory.elf")
        try:
            monitor = Monitor(channel)
            monitor.ask("dump-guest-memory", paging=False, protocol=f"file:{dump}")
        except MonitorError as error:
            hint = "make room in the folder of TMPDIR, and run it as QEMU's user"
            raise RefusedError(f"{name}: {error}", hint=hint) from None
        return look_file(dump, source=f"the guest at {path}")
