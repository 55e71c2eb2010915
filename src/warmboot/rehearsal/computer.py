"""The computer in QEMU that a rehearsal boots: on the memory of the machine in this process, which fills it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from warmboot.errors import InputError, RefusedError
from warmboot.machines.arch import Computer
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine

__all__ = ["power_on", "release"]

_FIRMWARE_PATIENCE = 60.0  # seconds


def power_on(computer: Computer, machine: Machine, console: Path | None, stack: ExitStack) -> QemuMachine:
    """Start it, so that its firmware works while the image is placed and loaded; `stack` ends it.

    Raises MissingToolError without QEMU, InputError where `console` cannot be written.
    """
    qemu = QemuMachine(computer, memory_fd=machine.memory.fd, console=_opened(console, stack))
    try:
        qemu.start()
    except OSError as error:
        raise RefusedError(
            f"QEMU cannot be started: {error.strerror}", hint="name a working one by WARMBOOT_QEMU"
        ) from None
    return stack.enter_context(qemu)


def release(qemu: QemuMachine, machine: Machine) -> float:
    """Start the image that the machine's kernel has loaded, there; when, in seconds of time.monotonic()."""
    qemu.release(machine.kernel.reboot(), rsdp_copy=machine.facts.rsdp, timeout=_FIRMWARE_PATIENCE)
    return time.monotonic()


def _opened(path: Path | None, stack: ExitStack) -> BinaryIO | None:
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("wb"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None
