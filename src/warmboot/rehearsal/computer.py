"""The computer in QEMU that a rehearsal boots: on the memory of the machine in this process, which fills it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from warmboot.errors import InputError, RefusedError
from warmboot.machines.arch import Computer
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine

__all__ = ["FIRMWARE_PATIENCE", "power_on"]

FIRMWARE_PATIENCE = 120.0  # seconds: EFI firmware takes eight by an emulated processor that has a core for itself


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


def _opened(path: Path | None, stack: ExitStack) -> BinaryIO | None:
    if path is None:
        return None
    try:
        return stack.enter_context(path.open("wb"))
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None
