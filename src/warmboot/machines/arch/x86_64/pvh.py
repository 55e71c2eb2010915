"""The PVH stub as QEMU sees it: an ELF file that carries it."""

from __future__ import annotations

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
from warmboot.machines.arch.x86_64.mailbox import PAGE, with_release
from warmboot.stubs.stub import stub

__all__ = ["elf"]

_XEN_ELFNOTE_PHYS32_ENTRY = 18


def elf(address: int, *, payload: bytes = b"", state: CpuState | None = None) -> bytes:
    """An ELF file with the stub for the physical `address`, a multiple of 4 KiB below 4 GiB.

    With `state` the stub does not wait: it enters that state at once. `payload` is put where rip points
    when rip is 0, which is right after the stub's own code.
    """
    code = bytearray(stub(__file__, "pvh_stub"))
    if state is not None:
        entered = {**state.as_dict(), "rip": state.rip or address + len(code)}
        with_release(code, CpuState(**entered))
    code += payload
    if len(code) > PAGE:
        raise ValueError(f"stub and payload are {len(code)} bytes, there is room for {PAGE}")

    note_offset = EHDR_SIZE + 2 * PHDR_SIZE
    # The descriptor is 4 bytes; QEMU reads 8 of an ELF64 file, so 4 zero bytes follow.
    note = pack_note(b"Xen\0", _XEN_ELFNOTE_PHYS32_ENTRY, address.to_bytes(4, "little")) + bytes(4)
    load = ProgramHeader(PT_LOAD, PF_RWX, PAGE, address, address, len(code), len(code), PAGE)
    notes = ProgramHeader(PT_NOTE, PF_R, note_offset, 0, 0, len(note), len(note), 4)
    return (pack_headers(ET_EXEC, [load, notes], entry=address) + note).ljust(PAGE, b"\0") + code
