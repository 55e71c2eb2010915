"""Debian's sbsigntool and pesign as programs to compare with: unpacked into the cache, run with their own libraries."""

from __future__ import annotations

from functools import cache

from support.debian_program import command_of
from warmboot.debian import Suite

__all__ = ["pesign", "sbsign", "sbverify"]

_SBSIGNTOOL = ("sbsigntool", "libc6", "libssl3", "libuuid1")
_PESIGN = ("pesign", "libc6", "libefivar1", "libnspr4", "libnss3", "libpopt0", "libuuid1", "libsqlite3-0", "zlib1g")


@cache
def sbsign() -> tuple[str, ...]:
    """The command that runs it. Raises RefusedError where the packages cannot be had."""
    return command_of(Suite("bookworm").fetch(_SBSIGNTOOL), "bin/sbsign")


@cache
def sbverify() -> tuple[str, ...]:
    """The command that runs it."""
    return command_of(Suite("bookworm").fetch(_SBSIGNTOOL), "bin/sbverify")


@cache
def pesign() -> tuple[str, ...]:
    """The command that runs it; only `-h`, the digest, needs no database of keys."""
    return command_of(Suite("bookworm").fetch(_PESIGN), "bin/pesign")
