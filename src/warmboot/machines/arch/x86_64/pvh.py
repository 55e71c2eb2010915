"""The PVH stub as QEMU sees it: an ELF file that carries it."""

from __future__ import annotations

import struct

from warmboot.kernel import CpuState
from warmboot.machines.arch.x86_64.mailbox import PAGE, with_release
from warmboot.stubs.stub import stub

__all__ = ["elf"]

# System V gABI and include/uapi/linux/elf.h
_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III4sII")
_IDENT = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64-bit, little-endian, version 1
_ET_EXEC, _EM_X86_64, _PT_LOAD, _PT_NOTE, _RWX = 2, 62, 1, 4, 7
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

    note_offset = _EHDR.size + 2 * _PHDR.size
    # The descriptor is 4 bytes; QEMU reads 8 of an ELF64 file, so 4 zero bytes follow.
    note = _NOTE.pack(4, 4, _XEN_ELFNOTE_PHYS32_ENTRY, b"Xen\0", address, 0)
    header = _EHDR.pack(_IDENT, _ET_EXEC, _EM_X86_64, 1, address, _EHDR.size, 0, 0, _EHDR.size, _PHDR.size, 2, 0, 0, 0)
    load = _PHDR.pack(_PT_LOAD, _RWX, PAGE, address, address, len(code), len(code), PAGE)
    notes = _PHDR.pack(_PT_NOTE, 4, note_offset, 0, 0, len(note), len(note), 4)
    return (header + load + notes + note).ljust(PAGE, b"\0") + code
