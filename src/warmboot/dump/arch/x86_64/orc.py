"""ORC: how to unwind from each address of code, as the kernel keeps it for itself (arch/x86/kernel/unwind_orc.c).

Two tables side by side, sorted by address: for each entry where its code begins, relative to the entry itself, and
struct orc_entry. A module has its own. BTF tells which format they have:

    until 6.2   type 2 bits, end
    6.3         type 2 bits, signal, end
    6.4         type 3 bits, signal: an undefined type and the end of the stack are types of their own

Between 6.12 and 7.2 the registers got other numbers, which no type tells: nearly every entry is by the stack pointer,
so its number is the one that most entries have.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.kernel import Kernel
    from warmboot.dump.modules import Module, ModuleSymbols

__all__ = ["Orc", "OrcEntry", "OrcTables", "Reg", "Type"]

_MOST = 1 << 22  # entries: kernels of today have under a million
_ENTRY = 6  # bytes of struct orc_entry


class Reg(Enum):
    """ORC_REG_*, arch/x86/include/asm/orc_types.h."""

    UNDEFINED = "undefined"
    PREV_SP = "prev_sp"
    AX = "ax"
    DX = "dx"
    DI = "di"
    BP = "bp"
    SP = "sp"
    R10 = "r10"
    R13 = "r13"
    BP_INDIRECT = "(bp)"
    SP_INDIRECT = "(sp)"
    UNKNOWN = "unknown"


_OLD = "UNDEFINED PREV_SP DX DI BP SP R10 R13 BP_INDIRECT SP_INDIRECT"
_NEW = "UNDEFINED AX DX SP BP DI R10 R13 PREV_SP SP_INDIRECT BP_INDIRECT"
_OLD_SP, _NEW_SP = 5, 3
_SAMPLE = 4096  # entries


class Type(IntEnum):
    """ORC_TYPE_* of 6.4 and later; older types are turned into these."""

    UNDEFINED = 0
    END_OF_STACK = 1
    CALL = 2
    REGS = 3
    REGS_PARTIAL = 4


_OLD_TYPES = (Type.CALL, Type.REGS, Type.REGS_PARTIAL, Type.UNDEFINED)


@dataclass(frozen=True, slots=True)
class OrcEntry:
    """How the caller's registers are found; offsets are in bytes. `signal`: the caller's address is where it was, not
    where a call returns to."""

    sp_reg: Reg
    sp_offset: int
    bp_reg: Reg
    bp_offset: int
    type: Type
    signal: bool


@dataclass(frozen=True, slots=True)
class Orc:
    """A pair of tables, by the virtual addresses of both."""

    ips_at: int
    ips: array[int]
    entries_at: int

    def number(self, ip: int) -> int:
        """The number of the entry whose code the address lies in; -1 where it is below the first."""
        return bisect_right(range(len(self.ips)), ip, key=lambda each: self.ips_at + 4 * each + self.ips[each]) - 1


class OrcTables:
    """The tables of the kernel and of its modules. Raises DumpError where there are none of a known format."""

    def __init__(self, kernel: Kernel, modules: ModuleSymbols) -> None:
        self._kernel, self._modules = kernel, modules
        self._of: dict[int, Orc | None] = {}
        entry = kernel.btf.struct("orc_entry")
        bits = entry.member("type")
        if entry.size != _ENTRY or bits.bit_offset != 40 or bits.bit_size not in (2, 3):
            raise DumpError(
                f"ORC: struct orc_entry of {entry.size} bytes with a type of {bits.bit_size} bits at bit "
                f"{bits.bit_offset}: 6 bytes, 2 or 3 bits at bit 40 were expected",
                hint="this kernel has a newer format; stacks are scanned",
            )
        self._type_bits = bits.bit_size
        self._signal = entry.find("signal")
        self._end = entry.find("end")
        self._table = self._read(
            kernel.symbols.needed("__start_orc_unwind_ip"),
            (kernel.symbols.needed("__stop_orc_unwind_ip") - kernel.symbols.needed("__start_orc_unwind_ip")) // 4,
            kernel.symbols.needed("__start_orc_unwind"),
        )

    @cached_property
    def _regs(self) -> tuple[Reg, ...]:
        """What each number of a register means."""
        table = self._table
        count = min(len(table.ips), _SAMPLE)
        sample = self._kernel.memory.virtual(table.entries_at, _ENTRY * count)
        numbers = [each & 0xF for each in sample[4::_ENTRY]]
        names = (_OLD if numbers.count(_OLD_SP) >= numbers.count(_NEW_SP) else _NEW).split()
        return tuple(Reg[names[n]] if n < len(names) else Reg.UNKNOWN for n in range(16))

    @cached_property
    def _text(self) -> tuple[int, int]:
        symbols = self._kernel.symbols
        return symbols.needed("_stext"), symbols.address("_einittext") or symbols.needed("_etext")

    def find(self, ip: int) -> OrcEntry | None:
        """The entry for an address of code; None where there is none."""
        start, end = self._text
        table = self._table if start <= ip < end else self._of_module(self._modules.module(ip))
        if table is None:
            return None
        number = table.number(ip)
        return (
            None if number < 0 else self._entry(self._kernel.memory.virtual(table.entries_at + _ENTRY * number, _ENTRY))
        )

    def _entry(self, data: bytes) -> OrcEntry:
        bits = int.from_bytes(data[4:6], "little")
        number = bits >> 8 & (1 << self._type_bits) - 1
        kind = Type(number) if number <= Type.REGS_PARTIAL else Type.UNDEFINED
        end = self._end is not None and bool(bits >> self._end.bit_offset - 32 & 1)
        signal = self._signal is not None and bool(bits >> self._signal.bit_offset - 32 & 1)
        sp_reg = self._regs[bits & 0xF]
        if self._type_bits == 2:
            if self._signal is None:
                signal = number != 0
            kind = (Type.END_OF_STACK if end else Type.UNDEFINED) if sp_reg is Reg.UNDEFINED else _OLD_TYPES[number]
        return OrcEntry(
            sp_reg=sp_reg,
            sp_offset=int.from_bytes(data[0:2], "little", signed=True),
            bp_reg=self._regs[bits >> 4 & 0xF],
            bp_offset=int.from_bytes(data[2:4], "little", signed=True),
            type=kind,
            signal=signal,
        )

    def _of_module(self, module: Module | None) -> Orc | None:
        if module is None:
            return None
        if module.record not in self._of:
            self._of[module.record] = self._read_module(module)
        return self._of[module.record]

    def _read_module(self, module: Module) -> Orc | None:
        try:
            record = self._kernel.record("module", module.record)
            count = record.number("arch.num_orcs")
            return self._read(record.number("arch.orc_unwind_ip"), count, record.number("arch.orc_unwind"))
        except DumpError:
            return None

    def _read(self, ips: int, count: int, entries: int) -> Orc:
        if not 0 < count <= _MOST:
            raise DumpError(
                f"ORC: {count} entries at {ips:#x}, 1 to {_MOST} were expected", hint="the dump is damaged there"
            )
        return Orc(ips, array("i", self._kernel.memory.virtual(ips, 4 * count)), entries)
