"""Calls of the kexec tests, and what they are made on: a machine of 128 MiB with a reservation at its end."""

from __future__ import annotations

from collections.abc import Callable

from support.kernels import (
    CRASH,
    MIB,
    crash_request,
    pattern,
    request,
    segment,
)
from warmboot.kernel import (
    Caller,
    Kernel,
    Lockdown,
    LockdownMode,
)
from warmboot.uapi import (
    PAGE_SIZE,
    KexecFlags,
    LoadRequest,
    Segment,
)

__all__ = [
    "BIG",
    "CRASH_ONE",
    "CRASH_ONE_HIGH",
    "FLAGS",
    "HALF_OF_MEMORY",
    "HIGH",
    "KILLED",
    "LARGE",
    "LARGE_BUFFER",
    "LOW",
    "MAXMEM",
    "NO_RIGHTS",
    "ODD_END",
    "ODD_START",
    "OLD",
    "OLD_CRASH",
    "ONE",
    "RESERVED",
    "RESERVED_LAST",
    "TWICE",
    "WRAPS",
    "Act",
    "compat",
    "crash_pages_left",
    "fails_after",
    "hook",
    "load",
    "load_crash",
    "lock",
    "lockdown",
    "nothing",
    "shrunk",
    "sysctl",
]

LOW = 16 * MIB  # where images go
RESERVED = 112 * MIB  # the crash reservation's start, on a machine of 128 MiB
RESERVED_LAST = RESERVED + CRASH - 1
MAXMEM = 1 << 46
ONE = segment(LOW, 4 * PAGE_SIZE, pattern(10_000))
CRASH_ONE = segment(RESERVED, 4 * PAGE_SIZE, pattern(10_000))
OLD = request(segment(32 * MIB, MIB, pattern(MIB, 7)))
OLD_CRASH = crash_request(segment(RESERVED + 8 * MIB, MIB, pattern(MIB, 8)))

Act = Callable[[Kernel], object]


def load(*segments: Segment, flags: int = 0) -> Act:
    """Load a normal image."""
    return lambda kernel: kernel.kexec_load(request(*segments, flags=flags))


def load_crash(*segments: Segment, entry: int | None = None) -> Act:
    """Load a crash image."""
    return lambda kernel: kernel.kexec_load(crash_request(*segments, entry=entry))


def compat(arguments: LoadRequest) -> Act:
    """Load by the 32-bit entry."""
    return lambda kernel: kernel.compat_kexec_load(arguments)


def sysctl(name: str, value: int) -> Act:
    """Write a sysctl."""
    return lambda kernel: kernel.write_sysctl(name, value)


def fails_after(pages: int) -> Act:
    """Memory runs out after so many pages."""

    def act(kernel: Kernel) -> None:
        kernel.pages.fail_after(pages)

    return act


def lock(kernel: Kernel) -> None:
    """Somebody else holds the lock."""
    assert kernel.kexec_trylock()


def lockdown(mode: LockdownMode) -> Act:
    """Lock the kernel down."""

    def act(kernel: Kernel) -> None:
        kernel.security.lockdown = Lockdown(mode)

    return act


def hook(function: Callable[[Caller], int]) -> Act:
    """A security module."""
    return lambda kernel: kernel.security.hooks.append(function)


def nothing(kernel: Kernel) -> None:
    """Nothing is prepared."""


NO_RIGHTS = Caller(cap_sys_boot=False)
KILLED = Caller(fatal_signal_pending=lambda: True)
FLAGS = KexecFlags
WRAPS = segment(-PAGE_SIZE % 2**64, 2 * PAGE_SIZE)
ODD_START = segment(LOW + 1, PAGE_SIZE)
ODD_END = segment(LOW, PAGE_SIZE + 1)
HIGH = segment(MAXMEM - PAGE_SIZE, PAGE_SIZE)
TWICE = (segment(LOW, 2 * PAGE_SIZE), segment(LOW + PAGE_SIZE, PAGE_SIZE))
LARGE_BUFFER = segment(LOW, PAGE_SIZE, bufsz=PAGE_SIZE + 1)
# 48 MiB, of 112 MiB of which half may be taken; two of them are too many
LARGE = (segment(LOW, 48 * MIB), segment(LOW + 48 * MIB, 48 * MIB))
HALF_OF_MEMORY = (111 * MIB + 0x9E000) // PAGE_SIZE // 2  # pages


def crash_pages_left(pages: int) -> Act:
    """Load a crash image that leaves so many pages of the reservation."""
    return load_crash(segment(RESERVED, CRASH - pages * PAGE_SIZE))


def shrunk(size: int) -> Act:
    """Shrink the reservation."""
    return lambda kernel: kernel.write_crash_size(size)


CRASH_ONE_HIGH = segment(RESERVED + 13 * MIB, 4 * PAGE_SIZE, pattern(10_000))
BIG = request(
    segment(1 << 30, 520 * PAGE_SIZE, pattern(520 * PAGE_SIZE)),
    segment(LOW, 8 * PAGE_SIZE, pattern(7 * PAGE_SIZE + 1)),
    segment(MIB, 3 * PAGE_SIZE, b"x"),
)
