"""The user space of both kernels: a small Debian, the user's initrds over it, and the agent with the script."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from warmboot.debian import cpio, guest_root
from warmboot.errors import InputError

__all__ = ["first_initrd", "second_initrd"]

_INIT = b"#!/usr/bin/python3.11 -IB\n"
_MOST_SCRIPT = 64 << 20  # bytes
_ALIGN = 512


def second_initrd(script: Path, initrds: Sequence[bytes]) -> bytes:
    """What the second kernel is loaded with. Raises InputError where the script cannot be used."""
    try:
        content = script.read_bytes() if script.stat().st_size <= _MOST_SCRIPT else b""
    except OSError as error:
        raise InputError(f"{script}: cannot be read: {error.strerror}", hint="give a program or a script") from None
    if not content.startswith((b"#!", b"\x7fELF")):
        raise InputError(
            f"{script}: neither a script that begins with #! nor a program",
            hint="begin it with #!/bin/sh or #!/usr/bin/python3.11, which the guest has",
        )
    agent = resources.files("warmboot.rehearsal.handed").joinpath("agent.py").read_bytes()
    layer = cpio.archive(
        [
            cpio.directory("warmboot"),
            cpio.file("warmboot/script", content, 0o755),
            cpio.file("init", _INIT + agent, 0o755),
        ]
    )
    return b"".join(_padded(each) for each in (guest_root().read_bytes(), *initrds, gzip.compress(layer, 1, mtime=0)))


def first_initrd(second: bytes, kernel: bytes) -> bytes:
    """The same for the first kernel, with the files that it loads."""
    files = [
        cpio.directory("warmboot"),
        cpio.directory("warmboot/next"),
        cpio.file("warmboot/next/kernel", kernel),
        cpio.file("warmboot/next/initrd", second),
    ]
    return second + cpio.archive(files)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)
