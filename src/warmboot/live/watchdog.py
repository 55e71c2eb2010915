"""The machine's watchdogs: which there are, whether one outlives a kexec, and starting one that does.

A watchdog (Documentation/watchdog/watchdog-api.rst) resets the machine where nobody feeds it in time. Opening its
device starts it, and closing it without the magic character leaves it running, so that it guards what comes after the
jump: the kernel that is started must take it over or be reset. Linux stops a watchdog as it restarts, for a kexec too,
where its driver asks for that (WDOG_STOP_ON_REBOOT, as i6300esb does), unless the parameter
watchdog.stop_on_reboot is 0 when the driver is loaded.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.live.files import exists, folder, number, text, under
from warmboot.numbers import number as bounded
from warmboot.visible import visible

__all__ = ["RESCUE", "Started", "Watchdog", "check_rescue", "start", "stop", "time_of", "watchdogs"]

RESCUE = 300  # seconds, where no time is given: long enough for a server's initrd, its network and its file systems
_SOFTDOG = "Software Watchdog"
_CLASS = "sys/class/watchdog"
_STOP_ON_REBOOT = "sys/module/watchdog/parameters/stop_on_reboot"
_SETTIMEOUT, _GETTIMEOUT, _KEEPALIVE = 0xC0045706, 0x80045707, 0x80045705
_SHORTEST, _LONGEST = 10, 86400  # seconds
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_TIME = re.compile(r"([0-9]{1,6})([smh]?)")
_DRIVERS = "modprobe iTCO_wdt (Intel), sp5100_tco (AMD), hpwdt (HPE), wdat_wdt (ACPI) or i6300esb (QEMU)"
_KEEP = (
    "boot with watchdog.stop_on_reboot=0; or put `options watchdog stop_on_reboot=0` in /etc/modprobe.d/watchdog.conf,"
    " and load its driver and the module watchdog anew"
)


@dataclass(frozen=True, slots=True)
class Watchdog:
    """One of /sys/class/watchdog. `max_timeout` is in seconds, 0 where the driver does not say; then the kernel itself
    may feed the device in between, and the device's own time may be shorter."""

    name: str
    identity: str
    driver: str
    active: bool
    max_timeout: int

    @property
    def is_software(self) -> bool:
        """Whether it is a timer of the running kernel, which ends with it."""
        return self.identity == _SOFTDOG


@dataclass(frozen=True, slots=True)
class Started:
    """A watchdog that runs, and resets the machine `seconds` after it was started. `fd` is its open device."""

    watchdog: Watchdog
    seconds: int
    fd: int

    @property
    def told(self) -> str:
        """In a sentence."""
        sure = "" if self.watchdog.max_timeout else "; its driver does not tell how long the device itself waits"
        return f"{self.watchdog.identity} ({self.watchdog.name}) resets the machine in {self.seconds} s{sure}"


def time_of(words: str) -> int:
    """Seconds of a time such as 90, 90s, 5m or 1h. Raises InputError."""
    match = _TIME.fullmatch(words)
    seconds = (bounded(match[1]) or 0) * _UNITS[match[2]] if match is not None else 0
    if not _SHORTEST <= seconds <= _LONGEST:
        raise InputError(f"--rescue={visible(words, most=40)}: no time from 10s to 24h", hint="such as --rescue=5m")
    return seconds


def watchdogs(root: str = "/") -> list[Watchdog]:
    """Those that the running kernel has, hardware first."""
    base = under(root, _CLASS)
    found = [_read(base, each) for each in sorted(folder(base), key=lambda name: (len(name), name))]
    return sorted(found, key=lambda each: each.is_software)


def check_rescue(root: str = "/") -> Watchdog:
    """The watchdog that would guard a kexec. Raises RefusedError, with the reason, where there is none that does."""
    found = watchdogs(root)
    if not found:
        raise RefusedError("--rescue: this machine has no watchdog", hint=f"load its driver: {_DRIVERS}")
    best = found[0]
    if best.is_software:
        raise RefusedError(
            "--rescue: the only watchdog is softdog, a timer of the running kernel, which ends with it",
            hint=f"load the driver of the machine's own: {_DRIVERS}",
        )
    if text(under(root, _STOP_ON_REBOOT)) != "0":
        raise RefusedError(
            f"--rescue: Linux may stop {visible(best.identity, most=80)} when it restarts, as its driver "
            f"{visible(best.driver, most=40)} can ask it to",
            hint=_KEEP,
        )
    return best


def start(seconds: int, root: str = "/") -> Started:
    """Start the machine's watchdog with this time, or the longest that it takes; it is never stopped from here.

    Raises RefusedError where there is none that outlives a kexec, or another program has it.
    """
    best = check_rescue(root)
    path = under(root, f"dev/{best.name}")
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedError(f"--rescue: {path}: {error.strerror}", hint=_hint_of(error)) from None
    wanted = min(seconds, best.max_timeout) if best.max_timeout else seconds
    while True:
        try:
            fcntl.ioctl(fd, _SETTIMEOUT, struct.pack("i", wanted))
        except OSError as error:
            if error.errno != errno.EINVAL or wanted <= _SHORTEST:
                break  # it has one time alone, which is asked for below
            wanted = max(wanted // 2, _SHORTEST)
        else:
            break
    try:
        (running,) = struct.unpack("i", fcntl.ioctl(fd, _GETTIMEOUT, bytes(4)))
    except OSError:
        running = wanted
    fcntl.ioctl(fd, _KEEPALIVE)
    return Started(best, running, fd)


def stop(identity: str, root: str = "/") -> str | None:
    """Stop the watchdog that --rescue started, if it still runs; what was done, in words.

    None where it is not here: no driver of it is loaded, so that it runs on. Raises OSError.
    """
    found = next((each for each in watchdogs(root) if each.identity == identity), None)
    if found is None:
        return None
    name = visible(identity, most=80)
    try:
        fd = os.open(under(root, f"dev/{found.name}"), os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return f"{name} is fed by another program"
        raise
    try:
        os.write(fd, b"V")  # the magic character: closing it now stops it
    finally:
        os.close(fd)
    return f"{name} is stopped"


def _read(base: str, name: str) -> Watchdog:
    folder_of = f"{base}/{name}"
    driver = f"{folder_of}/device/driver"
    module = os.path.basename(os.readlink(driver)) if exists(driver) else "unknown"  # noqa: PTH115, PTH119
    return Watchdog(
        name,
        text(f"{folder_of}/identity") or name,
        module,
        text(f"{folder_of}/state") == "active",
        number(f"{folder_of}/max_timeout", most=1 << 31) or 0,
    )


def _hint_of(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "another program feeds it: of systemd set KExecWatchdogSec=5min in /etc/systemd/system.conf instead"
    return "run it as root"
