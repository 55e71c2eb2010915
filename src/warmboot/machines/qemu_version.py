"""Which QEMU runs the machines."""

from __future__ import annotations

import re
import subprocess

from warmboot.errors import MissingToolError
from warmboot.machines.qemu import find_qemu

__all__ = ["qemu_version"]

_TIME_LIMIT = 10.0  # seconds
_VERSION = re.compile(r"version ([0-9][^\s(]{0,40})")


def qemu_version() -> str | None:
    """What `qemu-system-x86_64 --version` says, such as 7.2.22; None where there is no QEMU, or it does not say."""
    try:
        said = subprocess.run(
            [find_qemu(), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_TIME_LIMIT,
        )
    except (MissingToolError, OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(said.stdout.decode("utf-8", "replace"))
    return found[1] if found else None
