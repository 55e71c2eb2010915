"""A processor in this process: runs a hand-over instruction by instruction in the machine's own memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import unicorn
from unicorn import x86_const

from warmboot.cpu import CpuState
from warmboot.errors import RefusedError
from warmboot.kernel import PhysicalMemory

__all__ = ["Run", "execute"]

_GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)))
_CONTROL = ("cr3", "cr4", "cr0")  # in an order that the processor accepts
_EFER = 0xC000_0080
_COM1, _COM1_LINE_STATUS = 0x3F8, 0x3FD
_TRANSMITTER_EMPTY = 0x60
_NOTHING_THERE = 0xFF
_SLICE = 250_000  # microseconds between reports of progress
# Newer models announce BMI2, which the emulator cannot execute.
_CPU_MODEL = x86_const.UC_CPU_X86_IVYBRIDGE


@dataclass(frozen=True, slots=True)
class Run:
    """What happened: the processor's last state, whether it came to the address that was waited for, and more.

    `instructions` counts a repeated string instruction once, and is None where nobody asked for it.
    """

    state: CpuState
    reached: bool
    serial: bytes
    instructions: int | None = None


def execute(
    memory: PhysicalMemory,
    state: CpuState,
    *,
    until: int | None = None,
    count: bool = False,
    progress: Callable[[CpuState], None] | None = None,
) -> Run:
    """Run one processor from `state` until physical address `until`, or until it halts.

    `progress` is told of the state a few times a second. Counting takes about a microsecond an instruction.
    Raises RefusedError where the code faults: at an address without memory, or at an unknown instruction.
    """
    emulator = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    emulator.ctl_set_cpu_model(_CPU_MODEL)
    with ExitStack() as stack:
        for bank in memory.banks:
            emulator.mem_map_ptr(bank.range.start, bank.range.size, unicorn.UC_PROT_ALL, bank.address)
            stack.callback(emulator.mem_unmap, bank.range.start, bank.range.size)
        serial = bytearray()
        emulator.hook_add(unicorn.UC_HOOK_INSN, _port_in, None, 1, 0, x86_const.UC_X86_INS_IN)
        emulator.hook_add(unicorn.UC_HOOK_INSN, _port_out, serial, 1, 0, x86_const.UC_X86_INS_OUT)
        counter = _Counter()
        if count:
            emulator.hook_add(unicorn.UC_HOOK_CODE, counter)
        _write_state(emulator, state)
        _run(emulator, state.rip, until, progress)
        last = _read_state(emulator, state)
    instructions = counter.instructions if count else None
    return Run(last, until is not None and last.rip == until, bytes(serial), instructions)


def _run(emulator: unicorn.Uc, start: int, until: int | None, progress: Callable[[CpuState], None] | None) -> None:
    address = start
    # Without an address to stop at, the run ends at a halt; the emulator wants some address all the same.
    end = until if until is not None else 0xFFFF_FFFF_FFFF_FFFF
    while True:
        try:
            emulator.emu_start(address, end, timeout=_SLICE if progress else 0)
        except unicorn.UcError as error:
            where = emulator.reg_read(x86_const.UC_X86_REG_RIP)
            raise RefusedError(
                f"the hand-over faults at {where:#x}: {error}", hint="look at the segments: something lies in the way"
            ) from None
        address = emulator.reg_read(x86_const.UC_X86_REG_RIP)
        if progress is None or address == until or not emulator.query(unicorn.UC_QUERY_TIMEOUT):
            return
        progress(_read_state(emulator, CpuState(rip=0, cr3=0)))


class _Counter:
    """Counts instructions; the repetitions of one string instruction come as many times the same address."""

    def __init__(self) -> None:
        self.instructions = 0
        self._last = -1

    def __call__(self, emulator: object, address: int, size: int, user_data: object) -> None:
        if address != self._last:
            self.instructions += 1
            self._last = address


def _port_in(emulator: object, port: int, size: int, user_data: object) -> int:
    return _TRANSMITTER_EMPTY if port == _COM1_LINE_STATUS else _NOTHING_THERE


def _port_out(emulator: object, port: int, size: int, value: int, user_data: bytearray) -> None:
    if port == _COM1:
        user_data.append(value & 0xFF)


def _register(name: str) -> int:
    number: int = getattr(x86_const, f"UC_X86_REG_{name.upper()}")
    return number


def _write_state(emulator: unicorn.Uc, state: CpuState) -> None:
    registers = state.as_dict()
    for name in (*_GENERAL, "rflags", "cr4", "cr3"):
        emulator.reg_write(_register(name), registers[name])
    emulator.msr_write(_EFER, state.efer)
    emulator.reg_write(_register("cr0"), state.cr0)


def _read_state(emulator: unicorn.Uc, state: CpuState) -> CpuState:
    names = (*_GENERAL, "rip", "rflags", *_CONTROL)
    values = {name: emulator.reg_read(_register(name)) for name in names}
    return replace(state, **values, efer=emulator.msr_read(_EFER))
