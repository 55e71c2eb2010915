"""Registers: of a processor at the crash, and of a task that does not run."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from warmboot.dump.arch.interface import Cursor, How
from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.kernel import Kernel

__all__ = ["called", "sleeping", "user_mode", "walked"]

# struct user_regs_struct in struct elf_prstatus (arch/x86/include/asm/user_64.h), under pt_regs' names.
_NAMES = (
    *("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax"),
    *("ip", "cs", "flags", "sp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
_REGS_AT = 112  # bytes: pr_reg in struct elf_prstatus


def walked(prstatus: bytes) -> Cursor:
    """Where a processor was, by its NT_PRSTATUS note. Raises DumpError where the note is too short."""
    if len(prstatus) < _REGS_AT + 8 * len(_NAMES):
        raise DumpError(
            f"NT_PRSTATUS of {len(prstatus)} bytes, {_REGS_AT + 8 * len(_NAMES)} were expected", hint="it is damaged"
        )
    values = struct.unpack_from(f"<{len(_NAMES)}Q", prstatus, _REGS_AT)
    return Cursor(dict(zip(_NAMES, values, strict=True)), exact=True, how=How.REGISTERS)


def sleeping(kernel: Kernel, task: int) -> Cursor:
    """Where a task that does not run goes on: what __switch_to_asm() left on its stack. `task` is virtual."""
    struct_task = kernel.btf.struct("task_struct")
    sp = kernel.number(task + struct_task.offset("thread.sp"))
    frame = kernel.record("inactive_task_frame", sp)
    registers = {name: frame.number(name) for name in frame.struct.members if name != "ret_addr"}
    registers |= {"ip": frame.number("ret_addr"), "sp": sp + frame.struct.size}
    return Cursor(registers, exact=False, how=How.REGISTERS)


def user_mode(registers: dict[str, int]) -> bool:
    """Whether the processor ran a program, by the privilege level in the code segment's selector."""
    return registers.get("cs", 0) & 3 == 3


def called(before: bytes) -> bool:
    """Whether the bytes before an address end in a call: of an address, or through a register or memory."""
    if before[-5:-4] == b"\xe8":
        return True
    for size in (2, 3, 4, 6, 7):
        operation = before[-size : -size + 2]
        if operation[:1] == b"\xff" and operation[1] >> 3 & 7 == 2:
            return True
    return False
