"""NT_PRSTATUS of x86_64: struct elf_prstatus (include/linux/elfcore.h), whose pr_reg is struct user_regs_struct
(arch/x86/include/asm/user_64.h)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

__all__ = ["SIZE", "pack", "unpack"]

_NAMES = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_PID = struct.Struct("<i")
_PID_AT, _REGISTERS_AT = 32, 112  # pr_pid, pr_reg
_REGISTERS = struct.Struct(f"<{len(_NAMES)}Q")
SIZE = 336  # bytes; after the registers pr_fpvalid, and padding


def pack(process: int, registers: Mapping[str, int]) -> bytes:
    """The descriptor of a note, as crash_save_cpu makes it; registers that are not named are 0."""
    data = bytearray(SIZE)
    _PID.pack_into(data, _PID_AT, process)
    _REGISTERS.pack_into(data, _REGISTERS_AT, *(registers.get(each, 0) for each in _NAMES))
    return bytes(data)


def unpack(desc: bytes) -> tuple[int, dict[str, int]] | None:
    """The process and the registers by name; None where the descriptor is too short."""
    if len(desc) < _REGISTERS_AT + _REGISTERS.size:
        return None
    values = _REGISTERS.unpack_from(desc, _REGISTERS_AT)
    return _PID.unpack_from(desc, _PID_AT)[0], dict(zip(_NAMES, values, strict=True))
