"""The watchdog of --rescue in the new system: stopped, or left to whoever feeds it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from warmboot.blackbox.state import Loaded, read_loads
from warmboot.blackbox.this_boot import Start, this_boot
from warmboot.live.watchdog import stop
from warmboot.programs import clean_environment, find_program
from warmboot.visible import visible

__all__ = ["take_over"]

_PATIENCE = 30.0  # seconds for modprobe


def take_over(root: str = "/") -> Iterator[str]:
    """Stop the watchdog that guarded the kexec which started this kernel; what was done, in words.

    Where no driver of it is loaded it still runs: its driver is loaded first, as the notes of the load name it.
    """
    boot = this_boot(root)
    load = next(iter(read_loads(root)), None)
    if load is None or load.watchdog is None or boot.start is not Start.KEXEC or load.boot_id == boot.boot_id:
        return
    try:
        told = stop(load.watchdog, root)
        if told is None and _modprobe(load):
            told = stop(load.watchdog, root)
    except OSError as error:
        told = f"{visible(load.watchdog, most=80)} cannot be stopped: {error.strerror}"
    name = visible(load.watchdog, most=80)
    yield told or f"{name} runs on, and resets the machine: no driver of it is loaded (it was {load.driver})"


def _modprobe(load: Loaded) -> bool:
    program = find_program("modprobe")
    if program is None or not load.driver.replace("_", "").replace("-", "").isalnum():
        return False
    try:
        done = subprocess.run(
            [program, "--", load.driver],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
