"""The PVH stub as QEMU and we see it: an ELF file that carries it, and the mailbox in its first page."""

from __future__ import annotations

import mmap
import struct

from warmboot.errors import RefusedError
from warmboot.formats.elf import (
    EHDR_SIZE,
    ET_EXEC,
    PF_R,
    PF_RWX,
    PHDR_SIZE,
    PT_LOAD,
    PT_NOTE,
    ProgramHeader,
    pack_headers,
    pack_note,
)
from warmboot.kernel import CpuState
from warmboot.stubs.stub import stub

__all__ = ["MAILBOX_OFFSET", "MAPPED", "PAGE", "Mailbox", "elf"]

PAGE = 4096  # bytes
MAPPED = 4 << 40  # bytes: the physical memory, from 0 on, that the stub maps to itself

# The mailbox, see pvh_stub.S. The registers follow in the order in which CpuState declares them.
MAILBOX_OFFSET = 16
_READY = struct.Struct("<I")
_GO_OFFSET = MAILBOX_OFFSET + 4
_RSDP = struct.Struct("<Q")
_RSDP_OFFSET = MAILBOX_OFFSET + 8
_RSDP_COPY_AND_STATE = struct.Struct("<Q22Q")
_RSDP_COPY_OFFSET = MAILBOX_OFFSET + 16
_MAILBOX_END = _RSDP_COPY_OFFSET + _RSDP_COPY_AND_STATE.size

_WAITING = 1  # mailbox.ready: the stub waits for go
_UNFIT = 0xFFFF_FFFF  # mailbox.ready: the processor lacks 1 GiB pages or 64-bit mode

_XEN_ELFNOTE_PHYS32_ENTRY = 18


def _pack_release(state: CpuState, rsdp_copy: int) -> bytes:
    return _RSDP_COPY_AND_STATE.pack(rsdp_copy, *state.as_dict().values())


def elf(address: int, *, payload: bytes = b"", state: CpuState | None = None) -> bytes:
    """An ELF file with the stub for the physical `address`, a multiple of 4 KiB below 4 GiB.

    With `state` the stub does not wait: it enters that state at once. `payload` is put where rip points
    when rip is 0, which is right behind the stub's own code.
    """
    code = bytearray(stub(__file__, "pvh_stub"))
    if state is not None:
        entered = {**state.as_dict(), "rip": state.rip or address + len(code)}
        code[_RSDP_COPY_OFFSET:_MAILBOX_END] = _pack_release(CpuState(**entered), 0)
        code[_GO_OFFSET] = 1
    code += payload
    if len(code) > PAGE:
        raise ValueError(f"stub and payload are {len(code)} bytes, there is room for {PAGE}")

    note_offset = EHDR_SIZE + 2 * PHDR_SIZE
    # The descriptor is 4 bytes; QEMU reads 8 of an ELF64 file, so 4 zero bytes follow.
    note = pack_note(b"Xen\0", _XEN_ELFNOTE_PHYS32_ENTRY, address.to_bytes(4, "little")) + bytes(4)
    load = ProgramHeader(PT_LOAD, PF_RWX, PAGE, address, address, len(code), len(code), PAGE)
    notes = ProgramHeader(PT_NOTE, PF_R, note_offset, 0, 0, len(note), len(note), 4)
    return (pack_headers(ET_EXEC, [load, notes], entry=address) + note).ljust(PAGE, b"\0") + code


class Mailbox:
    """The mailbox of the stub at physical `address`, in a machine's shared memory file.

    The file's offset is the address, as it is for all memory below the 4 GiB hole.
    """

    def __init__(self, memory_fd: int, address: int) -> None:
        self._page = mmap.mmap(memory_fd, PAGE, offset=address)
        # An older run's word must not be taken for this run's. The stub itself comes with QEMU's reset.
        self._page[MAILBOX_OFFSET:_MAILBOX_END] = bytes(_MAILBOX_END - MAILBOX_OFFSET)

    def ready(self) -> bool:
        """Whether the stub waits. Raises RefusedError where the processor does not suit it."""
        value: int = _READY.unpack_from(self._page, MAILBOX_OFFSET)[0]
        if value == _UNFIT:
            raise RefusedError(
                "the machine's processor lacks 64-bit mode or 1 GiB pages", hint="set WARMBOOT_ACCEL=tcg"
            )
        return value == _WAITING

    def rsdp(self) -> int:
        """The physical address of the firmware's RSDP; valid when the stub is ready."""
        address: int = _RSDP.unpack_from(self._page, _RSDP_OFFSET)[0]
        return address

    def release(self, state: CpuState, *, rsdp_copy: int = 0) -> None:
        """Hand the processor to `state`; only when the stub is ready, as a reset overwrites its page."""
        self._page[_RSDP_COPY_OFFSET:_MAILBOX_END] = _pack_release(state, rsdp_copy)
        self._page[_GO_OFFSET] = 1  # last: x86 keeps the order of stores

    def close(self) -> None:
        """Unmap the page."""
        self._page.close()
