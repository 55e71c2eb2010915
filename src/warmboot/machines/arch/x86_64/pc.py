"""A PC in QEMU: how its memory is laid out, what its firmware keeps of it, and QEMU's options for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warmboot.errors import RefusedError
from warmboot.machines.arch.interface import Accel, Mailbox
from warmboot.machines.arch.x86_64 import pvh
from warmboot.memmap import Range

__all__ = ["FIRMWARE_ROOM", "FOUR_GIB", "MAX_LOW", "Pc"]

FIRMWARE_ROOM = 32 << 20  # bytes at the end of low memory: the firmware's and the stub's, nobody else's
MAX_LOW = 3 << 30  # bytes: the most that the pc machine puts below 4 GiB whatever the size
FOUR_GIB = 1 << 32

_PCI_HOLE = 4 << 30  # bytes of address space that QEMU wants above the last RAM, and more than that
_TCG_BITS = 40  # physical address bits of an emulated processor, unless told otherwise
# From 1012 to 1024 GiB AMD's processors have something else, for which QEMU 7.1 and later move all RAM above 4 GiB.
_AMD_HOLE = 0xFD_0000_0000


@dataclass(frozen=True, slots=True)
class Pc:
    """See Computer. `low` bytes of memory from 0 on and `high` bytes from 4 GiB on, whole pages.

    The last FIRMWARE_ROOM bytes of low memory are firmware's and not RAM.
    """

    low: int
    high: int = 0
    cpus: int = 2

    machine = "x86_64"

    def __post_init__(self) -> None:
        if self.low % pvh.PAGE or self.high % pvh.PAGE or self.low > MAX_LOW:
            raise ValueError(f"low {self.low:#x}, high {self.high:#x}: whole pages, and low at most {MAX_LOW:#x}")
        if self.low < 2 * FIRMWARE_ROOM:
            raise RefusedError(
                f"{self.low >> 20} MiB of memory below 4 GiB: the firmware has {FIRMWARE_ROOM >> 20} of them",
                hint="give the machine 64 MiB or more",
            )

    @property
    def banks(self) -> tuple[Range, ...]:
        low = Range(0, self.low)
        return (low, Range(FOUR_GIB, FOUR_GIB + self.high)) if self.high else (low,)

    @property
    def firmware_room(self) -> Range:
        return Range(self.low - FIRMWARE_ROOM, self.low)

    @property
    def description(self) -> str:
        ram = self.low + self.high - FIRMWARE_ROOM
        return f"{self.cpus} processor{'s' if self.cpus > 1 else ''}, {ram >> 20} MiB"

    def files(self) -> dict[str, bytes]:
        return {"stub": pvh.elf(self.firmware_room.start)}

    def options(self, accel: Accel, memory: str, files: Mapping[str, str]) -> list[str]:
        size = self.low + self.high
        backend = f"memory-backend-file,id=ram,size={size},mem-path={memory},share=on"
        # smm=off: nothing here needs it, and the firmware then has less to set up
        machine = f"pc,memory-backend=ram,max-ram-below-4g={self.low},smm=off,usb=off,vmport=off"
        options = ["-object", backend, "-m", f"{size}B", "-machine", machine]
        options += ["-cpu", self._processor(accel), "-smp", str(self.cpus)]
        options += ["-kernel", files["stub"], "-device", "pvpanic"]
        return options

    def mailbox(self, memory_fd: int) -> Mailbox:
        return pvh.Mailbox(memory_fd, self.firmware_room.start)

    def _processor(self, accel: Accel) -> str:
        """QEMU's -cpu: one that has an address bit for everything."""
        if accel is Accel.KVM:
            return "host,host-phys-bits=on"
        end = FOUR_GIB + self.high + _PCI_HOLE
        if end <= _AMD_HOLE:
            return "max"
        return f"max,vendor=GenuineIntel,phys-bits={max(_TCG_BITS, end.bit_length())}"
