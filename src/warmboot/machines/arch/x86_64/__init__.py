"""x86_64: a PC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.machines.arch.interface import Accel

if TYPE_CHECKING:
    from pathlib import Path

    from warmboot.machines.arch.interface import Board, Emulation, MachineArch, Probe
    from warmboot.memmap import Facts

__all__ = ["ARCH"]


class _X86:
    """See MachineArch; a part is imported when it is asked for."""

    qemu = "qemu-system-x86_64"
    qemu_package = "qemu-system-x86"

    @property
    def emulation(self) -> Emulation:
        from warmboot.machines.arch.x86_64.processor import Processor  # noqa: PLC0415 - Unicorn takes a while

        return Processor()

    def cpu_model(self, accel: Accel) -> str:
        return "host" if accel is Accel.KVM else "max"

    def efi_firmware(self) -> Path:
        from warmboot.errors import MissingToolError  # noqa: PLC0415
        from warmboot.machines.arch.x86_64.efi import FIRMWARE_VARIABLE, INSTALL_HINT, find_firmware  # noqa: PLC0415

        found = find_firmware()
        if found is None:
            raise MissingToolError(
                "no EFI firmware is found", hint=f"{INSTALL_HINT}, or name it by {FIRMWARE_VARIABLE}"
            )
        return found

    def probe(self) -> Probe:
        from warmboot.machines.arch.x86_64.probe import probe  # noqa: PLC0415

        return probe()

    def board(self, facts: Facts, cpus: int | None, most: int) -> Board:
        from warmboot.machines.arch.x86_64.board import board  # noqa: PLC0415

        return board(facts, cpus, most)


ARCH: MachineArch = _X86()
