"""The mailbox of a parked boot processor, in the first page of the stub that parks it (see mailbox.inc.S)."""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

from warmboot.errors import RefusedError
from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.machines.arch.interface import FirmwareTold

__all__ = ["MAPPED", "PAGE", "EfiTold", "Mailbox", "with_release"]

PAGE = 4096  # bytes
MAPPED = 4 << 40  # bytes: the physical memory, from 0 on, that a stub maps to itself

# The registers follow in the order in which CpuState declares them.
_OFFSET = 16
_READY = struct.Struct("<I")
_GO_OFFSET = _OFFSET + 4
_RSDP = struct.Struct("<Q")
_RSDP_OFFSET = _OFFSET + 8
_RSDP_COPY_AND_STATE = struct.Struct("<Q22Q")
_RSDP_COPY_OFFSET = _OFFSET + 16
_STATE_END = _RSDP_COPY_OFFSET + _RSDP_COPY_AND_STATE.size
_EFI = struct.Struct("<5Q")
_END = _STATE_END + _EFI.size

_WAITING = 0xB007ED  # ready: the stub waits for go
_UNFIT = 0xFFFF_FFFF  # ready: the processor, or the firmware, does not suit


class EfiTold(NamedTuple):
    """What the EFI stub tells; addresses are physical, sizes in bytes."""

    systab: int
    memory_map: int
    memory_map_size: int
    descriptor_size: int
    descriptor_version: int


def _pack_release(state: CpuState, rsdp_copy: int) -> bytes:
    return _RSDP_COPY_AND_STATE.pack(rsdp_copy, *state.as_dict().values())


def with_release(stub: bytearray, state: CpuState) -> None:
    """Make a stub enter `state` at once instead of waiting."""
    stub[_RSDP_COPY_OFFSET:_STATE_END] = _pack_release(state, 0)
    stub[_GO_OFFSET] = 1


class Mailbox:
    """See arch.interface.Mailbox. The stub is at the physical address `address` in a machine's shared memory file.

    The file's offset is the address, as it is for all memory below the 4 GiB hole.
    """

    def __init__(self, memory_fd: int, address: int) -> None:
        self._page = mmap.mmap(memory_fd, PAGE, offset=address)
        # An older run's word must not be taken for this run's. The stub itself comes with QEMU's reset.
        self._page[_OFFSET:_END] = bytes(_END - _OFFSET)

    def ready(self) -> bool:
        value: int = _READY.unpack_from(self._page, _OFFSET)[0]
        if value == _UNFIT:
            raise RefusedError(
                "the machine's processor lacks 64-bit mode or 1 GiB pages, or its firmware has no room below 1 MiB",
                hint="set WARMBOOT_ACCEL=tcg",
            )
        return value == _WAITING

    def told(self, memory: PhysicalMemory) -> FirmwareTold:
        return FirmwareTold(_RSDP.unpack_from(self._page, _RSDP_OFFSET)[0])

    def efi(self) -> EfiTold:
        """What the EFI stub tells, once it is ready."""
        return EfiTold(*_EFI.unpack_from(self._page, _STATE_END))

    def release(self, state: CpuState, *, rsdp_copy: int = 0) -> None:
        self._page[_RSDP_COPY_OFFSET:_STATE_END] = _pack_release(state, rsdp_copy)
        self._page[_GO_OFFSET] = 1  # last: x86 keeps the order of stores

    def close(self) -> None:
        self._page.close()
