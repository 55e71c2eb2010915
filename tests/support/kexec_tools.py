"""Debian's kexec-tools as a program to compare with: unpacked into the cache, run with its own libraries."""

from __future__ import annotations

from functools import cache

from support.debian_program import command_of
from warmboot.debian import Suite

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
    return command_of(debs, "sbin/kexec")
