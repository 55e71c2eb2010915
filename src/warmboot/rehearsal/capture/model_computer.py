"""The computer in QEMU that goes on after a crash on the model, on the model's memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from warmboot.errors import InputError, RefusedError
from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.machines.arch import of
from warmboot.machines.console import ConsoleLine, ConsoleReader
from warmboot.machines.fit import ram_that_fits
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine, console_pipe
from warmboot.memmap import Facts, Firmware, Range

__all__ = ["ModelComputer"]

_FIRMWARE_PATIENCE = 120.0  # seconds


class ModelComputer:
    """A computer like the one of `facts`, whose firmware is done. It is closed by `stack`.

    `facts` are then those of what QEMU can be of it. It can be watched as CrashWatch asks for: `options` are QEMU's.
    """

    def __init__(self, facts: Facts, cpus: int, options: Sequence[str], console: Path | None, stack: ExitStack) -> None:
        self._stack = stack
        board = of(facts.machine).board(facts, cpus, ram_that_fits())
        self._held = ExitStack()  # what is closed once QEMU is gone
        stack.callback(self._held.close)
        self.memory: PhysicalMemory = stack.enter_context(PhysicalMemory(board.computer.banks))
        with ExitStack() as passed:
            ours, port = console_pipe(self._held, passed)
            more = ["-chardev", f"file,id=port,path=/proc/self/fd/{port}", "-serial", "chardev:port", *options]
            self._qemu = QemuMachine(
                board.computer,
                memory_fd=self.memory.fd,
                console=None if console is None else stack.enter_context(_opened(console)),
                options=more,
                fds=[port],
            )
            stack.enter_context(self._qemu)
            try:
                self._qemu.start()
            except OSError as error:
                raise RefusedError(
                    f"QEMU cannot be started: {error.strerror}", hint="name one by WARMBOOT_QEMU"
                ) from None
        self._port = ConsoleReader(ours)
        self._held.callback(self._port.close)
        told = self._qemu.firmware(self.memory, _FIRMWARE_PATIENCE)
        if board.computer.loads_late:
            board = board.with_firmware(told)
        self.firmware: Firmware = Firmware(efi=told.efi) if told.efi is not None else Firmware()
        self.stub_room: Range = board.computer.stub_room
        self.facts: Facts = board.host
        self.differs: tuple[str, ...] = board.differs
        self.description: str = self._qemu.description

    def machine(self, facts: Facts) -> Machine:
        """A machine of these facts on its memory."""
        return Machine(facts, memory=self.memory)

    def release(self, state: CpuState) -> float:
        """Hand the boot processor over; when, in seconds of time.monotonic()."""
        self._qemu.release(state, timeout=_FIRMWARE_PATIENCE)
        return time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._qemu.ended

    def port_lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """See Watched."""
        return self._port.lines(timeout)

    def console_lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """See Watched."""
        return self._qemu.lines(timeout)

    def close(self) -> None:
        """End it; its memory stays as it was."""
        self._qemu.close()


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None
