"""Busybox: the shell and its commands in one program that needs no library, from Debian's package."""

from __future__ import annotations

import shutil
from pathlib import Path

from warmboot.debian.cache import cache_folder, is_stored, locked, store
from warmboot.debian.packages import Suite, unpack

__all__ = ["busybox"]

_SUITE, _PACKAGE = "bookworm", "busybox-static"


def busybox(cache: Path | None = None) -> bytes:
    """The program's bytes, kept in the cache. Raises RefusedError if the package cannot be had."""
    folder = cache_folder(cache) / "guest"
    path = folder / "busybox"
    with locked(folder / "busybox.lock"):
        if not is_stored(path):
            [deb] = [each for each in Suite(_SUITE, cache).fetch([_PACKAGE]) if each.name.startswith(_PACKAGE)]
            root = folder / "unpacked-busybox"
            try:
                unpack(deb, root)
                store(path, (root / "bin/busybox").read_bytes())
            finally:
                shutil.rmtree(root, ignore_errors=True)
        return path.read_bytes()
