"""--rescue: what makes a kexec that hangs or panics end in a firmware boot, and not in a dark screen.

A panic is followed by a reset: `panic=`. Until the new kernel has a driver of the watchdog, nobody feeds that. From
then on the kernel itself feeds a watchdog that it finds running, until user space opens it
(CONFIG_WATCHDOG_HANDLE_BOOT_ENABLED), or for `watchdog.open_timeout=` seconds at most. A driver that stops the device
as it is loaded, as i6300esb does, ends the guard there.
"""

from __future__ import annotations

import os
import time

from warmboot.blackbox.state import Loaded, note_call, read_loads
from warmboot.command_line import parse
from warmboot.errors import RefusedError
from warmboot.live.boot import boot_id
from warmboot.live.watchdog import Started, start

__all__ = ["PANIC", "asked_for", "begin", "call_off", "rescue_words"]

PANIC = 10  # seconds from a panic to the reset: long enough for a serial console to be read, and a dump to be told of


def rescue_words(line: str, seconds: int) -> str:
    """What the command line of the kernel that is guarded lacks."""
    parsed, words = parse(line), []
    if parsed.get("panic") is None:
        words.append(f"panic={PANIC}")
    if parsed.get("watchdog.open_timeout") is None:
        words.append(f"watchdog.open_timeout={seconds}")
    return " ".join(words)


def asked_for(root: str = "/") -> int:
    """The seconds that --rescue asked for when the image that is about to be started was loaded, 0 for none."""
    load = _pending(root)
    return load.rescue or 0 if load is not None else 0


def begin(seconds: int, root: str = "/") -> Started | None:
    """Before the jump: start the watchdog where `seconds` are given, and note the time of the call.

    Raises RefusedError where there is no watchdog that goes on; then nothing was started.
    """
    started = start(seconds, root) if seconds else None
    try:
        if _pending(root) is not None:
            note_call(
                root,
                rescue=started.seconds if started else None,
                watchdog=started.watchdog.identity if started else None,
                driver=started.watchdog.driver if started else "",
            )
    except OSError as error:
        if started is not None:
            call_off(started)
            raise RefusedError(
                f"--rescue: the notes of the load cannot be written: {error.strerror}", hint="make room in /var/lib"
            ) from None
    return started


def call_off(started: Started) -> None:
    """The jump did not come: the watchdog is stopped, where its device allows that."""
    try:
        os.write(started.fd, b"V")  # the magic character
    finally:
        os.close(started.fd)


def _pending(root: str) -> Loaded | None:
    """The newest load, if the running kernel made it."""
    load = next(iter(read_loads(root)), None)
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    is_ours = load is not None and load.boot_id == boot_id(root) and load.time > time.time() - uptime - 60
    return load if is_ours else None
