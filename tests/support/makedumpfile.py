"""Debian's makedumpfile as a program to compare with: unpacked into the cache, run with its own libraries."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from support.debian_program import command_of
from warmboot.debian import Suite

__all__ = ["makedumpfile", "run_makedumpfile"]

_LIBRARIES = ("libc6", "zlib1g", "liblzo2-2", "libbz2-1.0", "libzstd1", "liblzma5")
_T64 = ("libelf1t64", "libdw1t64")
_ELFUTILS = {"bookworm": ("libelf1", "libdw1"), "trixie": _T64, "sid": _T64}
_PATIENCE = 120  # seconds: it waits for a flattened dump that is cut off


@cache
def makedumpfile(suite: str = "sid") -> tuple[str, ...]:
    """The command that runs it: bookworm's is 1.7.2, trixie's 1.7.6, sid's 1.7.8 or later.

    Raises RefusedError where the packages cannot be had.
    """
    debs = Suite(suite).fetch(["makedumpfile", *_LIBRARIES, *_ELFUTILS[suite]])
    return command_of(debs, "bin/makedumpfile")


def run_makedumpfile(*words: str | Path, suite: str = "sid", data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run it, quiet but for errors, with `data` on standard input."""
    command = [*makedumpfile(suite), "--message-level", "4", *map(str, words)]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=_PATIENCE)
