"""Unwinding a stack by ORC, as unwind_next_frame() of arch/x86/kernel/unwind_orc.c does, on a dump."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from warmboot.dump.arch.interface import Cursor, How, UnwindEnd
from warmboot.dump.arch.x86_64.orc import OrcEntry, OrcTables, Reg, Type
from warmboot.dump.arch.x86_64.registers import user_mode
from warmboot.dump.interface import DumpError
from warmboot.dump.spans import readable

if TYPE_CHECKING:
    from warmboot.dump.kernel import Kernel, Record
    from warmboot.dump.modules import ModuleSymbols

__all__ = ["unwind"]

_DEEPEST = 512  # frames: a stack of 16 KiB cannot hold as many
_IRET = ("ip", "cs", "flags", "sp", "ss")  # what a processor itself pushes
_U64 = (1 << 64) - 1
_TABLES: WeakKeyDictionary[ModuleSymbols, OrcTables] = WeakKeyDictionary()  # of each dump, read once
_KEPT = ("bp", "bx", "r12", "r13", "r14", "r15")  # over a call, by the ABI
_PT_REGS = ("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", *_IRET)
_CALL = 0xE8  # call of an address that is relative to where it returns
_SEARCHED = 4096  # bytes of the stack: one frame
_NEAR = (1 << 31) - 1  # bytes that a call reaches


def unwind(kernel: Kernel, modules: ModuleSymbols, start: Cursor) -> Iterator[Cursor]:
    """The frames from `start` on, innermost first. Raises UnwindEnd at the end, DumpError where it goes no further."""
    tables = _TABLES.get(modules)
    if tables is None:
        tables = _TABLES[modules] = OrcTables(kernel, modules)
    at, seen = start, set[tuple[int, int]]()
    for _ in range(_DEEPEST):
        yield at
        if user_mode(at.registers):
            raise UnwindEnd("user mode")
        key = (at.registers.get("ip", 0), at.registers.get("sp", 0))
        if key in seen:
            raise DumpError(f"the stack comes back to {key[1]:#x}", hint="it was overwritten; a scan shows the rest")
        seen.add(key)
        at = _next(kernel, tables, at)
    raise DumpError(f"more than {_DEEPEST} frames", hint="the stack was overwritten; a scan shows the rest")


def _next(kernel: Kernel, tables: OrcTables, at: Cursor) -> Cursor:
    ip = at.registers["ip"]
    if not ip:
        raise UnwindEnd("end of the stack")
    entry = tables.find(ip if at.exact else ip - 1)
    if entry is None:
        return _by_the_call(kernel, at, f"ORC: no entry for {ip:#x}")
    if entry.type == Type.END_OF_STACK:
        raise UnwindEnd("end of the stack")
    if entry.type == Type.UNDEFINED:
        return _by_the_call(kernel, at, f"ORC: it is not known how to unwind from {ip:#x}")
    sp = _sp(kernel, entry, at.registers)
    registers = dict(at.registers)
    match entry.type:
        case Type.CALL:
            # What a caller had in registers that a call may change is not known any more.
            registers = {name: registers[name] for name in _KEPT if name in registers}
            registers |= {"ip": kernel.number(sp - 8), "sp": sp}
        case Type.REGS:
            registers = _pt_regs(kernel.record("pt_regs", sp))
        case Type.REGS_PARTIAL:
            struct = kernel.btf.struct("pt_regs")
            frame = kernel.record(struct, sp - struct.offset("ip"))
            registers |= {name: frame.number(name) & _U64 for name in _IRET}  # cs and ss: 16 bits in 6.9 and later
    if entry.bp_reg is Reg.PREV_SP:
        registers["bp"] = kernel.number(sp + entry.bp_offset)
    elif entry.bp_reg is Reg.BP:
        registers["bp"] = kernel.number(_known(at.registers, "bp") + entry.bp_offset)
    elif entry.bp_reg is not Reg.UNDEFINED:
        raise DumpError(f"ORC: frame pointer by register {entry.bp_reg.value} at {ip:#x}", hint="a scan shows the rest")
    return Cursor(registers, exact=entry.signal)


def _by_the_call(kernel: Kernel, at: Cursor, why: str) -> Cursor:
    """The caller where ORC has nothing: __crash_kexec() and its like (STACK_FRAME_NON_STANDARD).

    It is the first address on the stack behind a call of exactly this function. Of a function with a frame pointer, the
    caller's is saved there; one without has left it alone.
    """
    registers = at.registers
    ip, sp, bp = registers["ip"], registers["sp"], registers.get("bp", 0)
    found = kernel.symbols.lookup(ip if at.exact else ip - 1)
    start = 0 if found is None else ip - found.offset - (not at.exact)
    stack = readable(kernel.memory, sp, _SEARCHED) if found is not None and sp % 8 == 0 else b""
    for slot in range(0, len(stack) - 7, 8):
        returns_to = int.from_bytes(stack[slot : slot + 8], "little")
        if start & ~_NEAR != returns_to & ~_NEAR or not _calls(kernel, returns_to, start):
            continue
        kept = {name: registers[name] for name in _KEPT if name in registers}
        if bp == sp + slot - 8:
            kept["bp"] = kernel.number(bp)
        return Cursor(kept | {"ip": returns_to, "sp": sp + slot + 8}, exact=False, how=How.CALL)
    raise DumpError(why, hint="a scan shows the rest")


def _calls(kernel: Kernel, returns_to: int, start: int) -> bool:
    try:
        instruction = kernel.memory.virtual(returns_to - 5, 5)
    except DumpError:
        return False
    target = returns_to + int.from_bytes(instruction[1:], "little", signed=True)
    return instruction[0] == _CALL and target & _U64 == start


def _sp(kernel: Kernel, entry: OrcEntry, registers: dict[str, int]) -> int:
    match entry.sp_reg:
        case Reg.SP:
            return registers["sp"] + entry.sp_offset & _U64
        case Reg.BP:
            return _known(registers, "bp") + entry.sp_offset & _U64
        case Reg.SP_INDIRECT:  # since 5.12 the offset is added afterwards; before, nothing had it
            return kernel.number(registers["sp"]) + entry.sp_offset & _U64
        case Reg.BP_INDIRECT:
            return kernel.number(_known(registers, "bp") + entry.sp_offset)
        case Reg.R10 | Reg.R13 | Reg.DI | Reg.DX | Reg.AX as register:
            return _known(registers, register.value)
        case other:
            raise DumpError(
                f"ORC: stack by register {other.value} at {registers['ip']:#x}", hint="a scan shows the rest"
            )


def _known(registers: dict[str, int], name: str) -> int:
    value = registers.get(name)
    if value is None:
        raise DumpError(f"register {name} is not known at {registers['ip']:#x}", hint="a scan shows the rest")
    return value


def _pt_regs(record: Record) -> dict[str, int]:
    return {name: record.number(name) & _U64 for name in _PT_REGS}
