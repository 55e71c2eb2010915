"""How the running kernel was started, and what reset the machine before: what decides how a black box is read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum

from warmboot.live.boot import boot_id, started_by_kexec
from warmboot.live.files import folder, number, text, under
from warmboot.live.status import loaded

__all__ = ["Start", "ThisBoot", "this_boot"]

_CARDRESET = 0x20  # WDIOF_CARDRESET (watchdog-api.rst)


class Start(StrEnum):
    """Who started the running kernel."""

    KEXEC = "kexec"
    FIRMWARE = "firmware"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ThisBoot:
    """The running kernel: its release, its boot id in hexadecimal, when it was started (Unix time, seconds).

    `bitten` is the identity of a watchdog whose driver says that it caused the last reset; `loaded` says whether an
    image is loaded now, None where that is not known.
    """

    release: str
    boot_id: str
    started: float
    start: Start
    bitten: str | None = None
    loaded: bool | None = None


def this_boot(root: str = "/") -> ThisBoot:
    """What /proc and /sys tell of it; never raises."""
    start = {None: Start.UNKNOWN, True: Start.KEXEC, False: Start.FIRMWARE}[started_by_kexec(root)]
    return ThisBoot(
        text(under(root, "proc/sys/kernel/osrelease")) or os.uname().release,
        boot_id(root),
        time.time() - time.clock_gettime(time.CLOCK_BOOTTIME),
        start,
        _bitten(root),
        loaded(root),
    )


def _bitten(root: str) -> str | None:
    watchdogs = under(root, "sys/class/watchdog")
    for each in sorted(folder(watchdogs)):
        if (number(f"{watchdogs}/{each}/bootstatus") or 0) & _CARDRESET:
            return text(f"{watchdogs}/{each}/identity") or each
    return None
