"""What a new file may replace: another file, and nothing else. A rename by root replaces /dev/null as well."""

from __future__ import annotations

import stat
from pathlib import Path

from warmboot.errors import RefusedError
from warmboot.visible import visible

__all__ = ["check_replaceable"]


def check_replaceable(path: Path) -> None:
    """Raises RefusedError where `path` is there and is no regular file (links are followed), and OSError."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        raise RefusedError(f"{visible(str(path))}: is {kind}, which no file replaces", hint="name a file")
