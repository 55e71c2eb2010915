"""A PC in QEMU: how its memory is laid out, what its firmware keeps of it, and QEMU's options for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import RefusedError
from warmboot.machines.arch.interface import Accel, Mailbox
from warmboot.machines.arch.x86_64 import pvh
from warmboot.machines.arch.x86_64.efi import EFI_ROOM, STUB_SIZE, EfiMailbox, efi_application
from warmboot.machines.arch.x86_64.mailbox import PAGE
from warmboot.machines.arch.x86_64.mailbox import Mailbox as ParkedMailbox
from warmboot.machines.arch.x86_64.numa import srat
from warmboot.memmap import NumaNode, Range

__all__ = ["FIRMWARE_ROOM", "FOUR_GIB", "MAX_LOW", "Pc"]

FIRMWARE_ROOM = 32 << 20  # bytes at the end of low memory: the firmware's and the stub's, nobody else's
MAX_LOW = 3 << 30  # bytes: the most that the pc machine puts below 4 GiB whatever the size
FOUR_GIB = 1 << 32

_PCI_HOLE = 4 << 30  # bytes of address space that QEMU wants above the last RAM, and more than that
_TCG_BITS = 40  # physical address bits of an emulated processor, unless told otherwise
_MOST_BITS = 52
# From 1012 to 1024 GiB AMD's processors have something else, for which QEMU 7.1 and later move all RAM above 4 GiB.
_AMD_HOLE = 0xFD_0000_0000


@dataclass(frozen=True, slots=True)
class Pc:
    """See Computer. `low` bytes of memory from 0 on and `high` bytes from 4 GiB on, whole pages.

    The last FIRMWARE_ROOM bytes of low memory are firmware's and not RAM. `efi` is the EFI firmware's image, None for
    legacy firmware (SeaBIOS); `nodes` are NUMA nodes, `bits` those of a physical address, 0 for as many as are needed.
    """

    low: int
    high: int = 0
    cpus: int = 2
    efi: Path | None = None
    nodes: tuple[NumaNode, ...] = ()
    bits: int = 0

    machine = "x86_64"

    def __post_init__(self) -> None:
        if self.low % PAGE or self.high % PAGE or self.low > MAX_LOW:
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
    def stub_room(self) -> Range:
        at = EFI_ROOM if self.efi else self.firmware_room.start
        return Range(at, at + STUB_SIZE)

    @property
    def description(self) -> str:
        ram = self.low + self.high - FIRMWARE_ROOM
        parts = [f"{self.cpus} processor{'s' if self.cpus > 1 else ''}", f"{ram >> 20} MiB"]
        parts += [f"{len(self.nodes)} NUMA nodes"] if self.nodes else []
        parts += [f"EFI firmware {self.efi}"] if self.efi else []
        return ", ".join(parts)

    @property
    def loads_late(self) -> bool:
        return self.efi is not None

    def files(self) -> dict[str, bytes]:
        files = {"stub": efi_application() if self.efi else pvh.elf(self.firmware_room.start)}
        return files | {"srat": srat(self.nodes)} if self.nodes else files

    def options(self, accel: Accel, memory: str, files: Mapping[str, str]) -> list[str]:
        size = self.low + self.high
        backend = f"memory-backend-file,id=ram,size={size},mem-path={memory},share=on"
        # smm=off: nothing here needs it, and the firmware then has less to set up
        machine = f"pc,memory-backend=ram,max-ram-below-4g={self.low},smm=off,usb=off,vmport=off"
        options = ["-object", backend, "-m", f"{size}B", "-machine", machine]
        options += ["-cpu", self._processor(accel), "-smp", str(self.cpus)]
        options += ["-kernel", files["stub"], "-device", "pvpanic"]
        options += ["-bios", str(self.efi)] if self.efi else []
        options += ["-acpitable", f"file={files['srat']}"] if self.nodes else []
        return options

    def mailbox(self, memory_fd: int) -> Mailbox:
        return EfiMailbox(memory_fd) if self.efi else ParkedMailbox(memory_fd, self.firmware_room.start)

    def _processor(self, accel: Accel) -> str:
        """QEMU's -cpu: one that has an address bit for everything, and where it may be as many as asked for."""
        if accel is Accel.KVM:
            return f"host,host-phys-bits=on,host-phys-bits-limit={self.bits}" if self.bits else "host,host-phys-bits=on"
        end = FOUR_GIB + self.high + _PCI_HOLE
        bits = min(_MOST_BITS, max(self.bits or _TCG_BITS, end.bit_length()))
        model = "max" if bits == _TCG_BITS else f"max,phys-bits={bits}"
        return model if end <= _AMD_HOLE else f"{model},vendor=GenuineIntel"
