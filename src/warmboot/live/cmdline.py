"""The running kernel's command line, and what of it suits the next kernel."""

from __future__ import annotations

import os

from warmboot.command_line import parse
from warmboot.live.files import read, under

__all__ = ["concatenated", "reused", "running"]


def running(root: str = "/") -> str:
    """/proc/cmdline's first line. Raises OSError."""
    data = read(under(root, "proc/cmdline")).replace(b"\r", b"\n")
    return os.fsdecode(data.partition(b"\n")[0].rstrip(b"\0"))


def reused(root: str = "/", *, panic: bool = False) -> str:
    """What --reuse-cmdline takes over: without the boot loader's BOOT_IMAGE, and for a crash kernel without any
    crashkernel, as memory that is reserved already would be reserved again. Raises OSError."""
    dropped = ("BOOT_IMAGE", "crashkernel") if panic else ("BOOT_IMAGE",)
    return str(parse(running(root)).without(*dropped))


def concatenated(base: str | None, appended: str | None) -> str | None:
    """The line that --reuse-cmdline gave with what --append gave, which is for the kernel what comes before `--`."""
    if base is None or appended is None:
        return appended if base is None else base
    return str(parse(base).with_parameters(appended))
