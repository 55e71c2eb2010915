"""Debian's kexec-tools as a program to compare with: unpacked into the cache, run with its own libraries."""

from __future__ import annotations

import shutil
from functools import cache

from warmboot.debian import Suite, cache_folder, unpack
from warmboot.debian.cache import locked

__all__ = ["kexec_tools"]

_PLAIN = ("kexec-tools", "libc6", "zlib1g")
_XEN = ("call", "devicemodel", "evtchn", "foreignmemory", "gnttab", "toolcore", "toollog")
_NEWER = ("libzstd1", "liblzma5")  # sid's is linked with them


@cache
def kexec_tools(suite: str = "bookworm") -> tuple[str, ...]:
    """The command that runs it: bookworm's is 2.0.25, sid's is 2.0.32 or later.

    Raises RefusedError where the packages cannot be had.
    """
    source = Suite(suite)
    names = [*_PLAIN, source.newest(r"libxenmisc4\.\d+"), *(f"libxen{each}1" for each in _XEN)]
    debs = source.fetch([*names, *(_NEWER if suite == "sid" else ())])
    folder = cache_folder() / "kexec-tools" / debs[0].stem
    with locked(folder.parent / "lock"):
        if not folder.exists():
            unpacking = folder.parent / "unpacking"
            shutil.rmtree(unpacking, ignore_errors=True)  # what a killed run left
            for deb in debs:
                unpack(deb, unpacking)
            unpacking.rename(folder)
    loader = next(path for path in folder.rglob("ld-linux-x86-64.so.2") if "x86_64-linux-gnu" in path.parts)
    libraries = sorted({str(path.parent) for path in folder.rglob("lib*.so*")})
    program = next(path for path in folder.rglob("sbin/kexec") if path.is_file())
    return (str(loader), "--argv0", "kexec", "--library-path", ":".join(libraries), str(program))
