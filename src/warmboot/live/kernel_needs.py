"""What decides whether a kernel file runs on this computer: its processor's flags, and the kernel's configuration."""

from __future__ import annotations

import os

from warmboot.live.files import read, under

__all__ = ["config_beside", "processor_flags"]

_LARGEST = 1 << 20  # bytes of a configuration


def processor_flags(root: str = "/") -> frozenset[str] | None:
    """The flags of the first processor, None where they cannot be read."""
    try:
        first, _, _ = read(under(root, "proc/cpuinfo"), until=b"\n\n").partition(b"\n\n")
    except OSError:
        return None
    line = next((each for each in first.split(b"\n") if each.startswith(b"flags")), b"")
    flags = frozenset(line.partition(b":")[2].decode("ascii", "replace").split())
    return flags or None


def config_beside(kernel: str, release: str, root: str = "/") -> str:
    """The configuration of a kernel file: config-RELEASE beside it, or with its modules; empty where there is none."""
    folder = os.path.dirname(os.path.abspath(kernel))  # noqa: PTH100, PTH120 - as live/files.py
    if not release or "/" in release:
        return ""
    for path in (f"{folder}/config-{release}", under(root, f"lib/modules/{release}/config")):
        try:
            if os.stat(path).st_size <= _LARGEST:  # noqa: PTH116
                return read(path).decode("ascii", "replace")
        except OSError:
            continue
    return ""
