"""The machine that a rehearsal loads an image on, and the computer in QEMU that boots it: they share their memory."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import BinaryIO

from warmboot.errors import InputError, MissingToolError, RefusedError
from warmboot.kernel import PhysicalMemory, Policy, Profile
from warmboot.machines.arch import Board, of
from warmboot.machines.fit import ram_that_fits
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts, Firmware
from warmboot.memmap.ranges import intersect
from warmboot.rehearsal.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.machines.machine import Machine
    from warmboot.placement import Placement

__all__ = ["Machines"]

_FIRMWARE_PATIENCE = 120.0  # seconds: EFI firmware takes eight by an emulated processor that has a core for itself


class Machines:
    """`machine` is like the one of the facts; where it shall boot, it is also like what QEMU can be of it.

    Its kernel is made when it is first asked for: QEMU needs the memory alone. `qemu` runs from `power_on` on, unless
    `not_tried` says why it does not: what QEMU cannot do is no refusal, and all goes on without a boot. `released` is
    when it was handed over, in seconds of time.monotonic(), 0 before. Everything is closed by `stack`.
    """

    def __init__(self, options: Options, profile: Profile, stack: ExitStack) -> None:
        self._options = options
        self._profile = profile
        self._stack = stack
        self._board: Board | None = None
        self.not_tried: RefusedError = RefusedError("--no-boot", hint="")
        self.qemu: QemuMachine | None = None
        self.firmware: Firmware | None = None  # what the new kernel is told of the computer's
        self.released: float = 0.0
        if options.boot and not options.panic:
            try:
                self._board = of(options.facts.machine).board(options.facts, options.cpus, ram_that_fits())
            except RefusedError as error:
                self.not_tried = error
        banks = self._board.computer.banks if self._board else None
        self._memory = stack.enter_context(PhysicalMemory.of(options.facts) if banks is None else PhysicalMemory(banks))
        self._machine: Machine | None = None

    @property
    def machine(self) -> Machine:
        """The one that the image is loaded on."""
        if self._machine is None:
            self._machine = self._stack.enter_context(self.new(self._memory))
        return self._machine

    @property
    def to_boot(self) -> bool:
        """Whether what is loaded shall boot."""
        return self._board is not None

    @property
    def host(self) -> Facts:
        """Where the image may be placed."""
        return self._board.host if self._board else self._options.facts.host

    @property
    def differs(self) -> tuple[str, ...]:
        """In what the machine differs from the facts."""
        return self._board.differs if self._board else ()

    def new(self, memory: PhysicalMemory | None = None) -> Machine:
        """Another machine like it, which forbids nothing: whether an image may be loaded, others say."""
        facts = replace(
            self._board.facts if self._board else self._options.facts,
            totalram_pages=self._options.facts.totalram_pages,
            lockdown="",
            kexec_load_disabled=False,
            kexec_load_limit_reboot=-1,
            kexec_load_limit_panic=-1,
            kexec_load=None,
            kexec_file_load=None,
        )
        from warmboot.machines.machine import Machine  # noqa: PLC0415 - QEMU starts meanwhile

        banks = self._board.computer.banks if self._board else None
        # A quarter to two thirds of a kernel's memory are zeros: to copy them, under emulation, shows nothing more.
        machine = Machine(facts, banks=banks, memory=memory, profile=self._profile, policy=Policy.SETTLED)
        if self._board:  # what kexec_file_load looks at by itself
            machine.kernel.system_ram = intersect(facts.system_ram, self._board.host.system_ram)
            machine.kernel.booted.told = replace(self._board.host, firmware_memmap=None)
        machine.kernel.booted.firmware = self.firmware or Firmware()
        return machine

    def power_on(self) -> None:
        """Start the computer if the image shall boot, so that its firmware works while the image is placed and loaded.

        Raises InputError where the console cannot be written.
        """
        if self._board is None:
            return
        qemu = QemuMachine(self._board.computer, memory_fd=self._memory.fd, console=self._opened_console())
        self._stack.enter_context(qemu)
        try:
            qemu.start()
            self.qemu = qemu
        except MissingToolError as error:
            self.not_tried = error
        except RefusedError as error:
            self.give_up(error)
        except OSError as error:
            self.give_up(
                RefusedError(f"QEMU cannot be started: {error.strerror}", hint="name a working one by WARMBOOT_QEMU")
            )

    def wait_for_firmware(self) -> None:
        """Wait for firmware that would not bear that the image is loaded meanwhile."""
        if self._board is None or self.qemu is None or not self._board.computer.loads_late:
            return
        try:
            told = self.qemu.firmware(self._memory, _FIRMWARE_PATIENCE)
            self._board, self.firmware = self._board.with_firmware(told), Firmware(efi=told.efi)
        except RefusedError as error:
            self.give_up(error)

    def give_up(self, problem: RefusedError) -> None:
        """Go on with the machine of the facts alone: the computer in QEMU has failed, or has no room for the image."""
        if self.qemu is not None:
            self.qemu.close()
        self.not_tried = problem
        self._board = self.qemu = self.firmware = None
        self._machine = self._stack.enter_context(self.new())

    def release(self, placement: Placement) -> None:
        """Start the loaded image in QEMU; where QEMU has ended, or its firmware never does, it will not boot."""
        from warmboot.rehearsal.handover import jumping  # noqa: PLC0415 - as above

        assert self.qemu is not None
        try:
            # EFI tells the new kernel where the RSDP is; only legacy firmware's may have to be found somewhere else.
            copy = 0 if self.firmware else self.machine.facts.rsdp
            self.qemu.release(jumping(self.machine, placement), rsdp_copy=copy, timeout=_FIRMWARE_PATIENCE)
            self.released = time.monotonic()
        except RefusedError as error:
            self.qemu.close()
            self.qemu, self.not_tried = None, error

    def _opened_console(self) -> BinaryIO | None:
        path = self._options.console
        if path is None:
            return None
        try:
            return self._stack.enter_context(path.open("wb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None
