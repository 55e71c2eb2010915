"""A processor in this process: runs a hand-over instruction by instruction in the machine's own memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import unicorn
from unicorn import x86_const

from warmboot.errors import RefusedError
from warmboot.kernel import PhysicalMemory
from warmboot.kernel.arch.x86_64.cpu import CpuState

__all__ = ["Run", "execute"]

_GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)))
_EFER = 0xC000_0080
_COM1, _COM1_LINE_STATUS = 0x3F8, 0x3FD
_TRANSMITTER_EMPTY = 0x60
_NOTHING_THERE = 0xFF
_PERIOD = 0.25  # seconds between reports of progress
_PATIENCE = 0.01  # seconds until the emulator is told once more to stop
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

    `progress` is told a few times a second of the general registers as they are while the processor runs on; the
    others are `state`'s. Counting takes about a microsecond an instruction.
    Raises RefusedError where the code faults: at an address without memory, or at an unknown instruction.
    """
    emulator = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    emulator.ctl_set_cpu_model(_CPU_MODEL)
    try:
        for bank in memory.banks:
            emulator.mem_map_ptr(bank.range.start, bank.range.size, unicorn.UC_PROT_ALL, bank.address)
        serial = bytearray()
        emulator.hook_add(unicorn.UC_HOOK_INSN, _port_in, None, 1, 0, x86_const.UC_X86_INS_IN)
        emulator.hook_add(unicorn.UC_HOOK_INSN, _port_out, serial, 1, 0, x86_const.UC_X86_INS_OUT)
        counter = _Counter()
        if count:
            emulator.hook_add(unicorn.UC_HOOK_CODE, counter)
        _write_state(emulator, state)
        _run(emulator, state, until, progress)
        last = _read_state(emulator)
    finally:
        _close(emulator)
    instructions = counter.instructions if count else None
    return Run(last, until is not None and last.rip == until, bytes(serial), instructions)


def _close(emulator: unicorn.Uc) -> None:
    """Free the emulator at once.

    Its hooks refer to it in a circle, so that it would stay, with a gigabyte of address space, until a garbage
    collection. Its memory is not unmapped first: that looks at every single page, 15 seconds for a terabyte.
    """
    handle = getattr(emulator, "_uch", None)
    if handle is not None:  # another release of the library may have no such name: then a collection must do
        unicorn.Uc.release_handle(handle)
        handle.value = None  # the finalizer finds nothing left to do


def _run(emulator: unicorn.Uc, state: CpuState, until: int | None, progress: Callable[[CpuState], None] | None) -> None:
    """Run in a thread of its own, so that an interrupt (Ctrl-C) is noticed at once and progress can be told.

    To stop the emulator for that, and start it again, is no way: stopped from outside, by its time limit too, it
    does not keep rip, and would go on with an address that is some blocks old.
    """
    # Without an address to stop at, the run ends at a halt; the emulator wants some address all the same.
    end = until if until is not None else 0xFFFF_FFFF_FFFF_FFFF
    failed: list[BaseException] = []
    ended = threading.Event()  # a thread whose join is interrupted may say that it has ended when it has not (3.11)

    def run() -> None:
        try:
            emulator.emu_start(state.rip, end)
        except BaseException as error:
            failed.append(error)
        finally:
            ended.set()

    worker = threading.Thread(target=run, name="processor", daemon=True)
    worker.start()
    try:
        while not ended.wait(_PERIOD):
            if progress is not None:
                progress(replace(state, **_read(emulator, _GENERAL)))
    finally:
        while not ended.wait(0):  # again and again: a stop that comes before the start is forgotten
            emulator.emu_stop()
            ended.wait(_PATIENCE)
        worker.join()
    for error in failed:
        if not isinstance(error, unicorn.UcError):
            raise error
        where = emulator.reg_read(x86_const.UC_X86_REG_RIP)
        # To stop at the start of a page the emulator looks at the one before, and faults where there is none.
        if where != until:
            raise RefusedError(
                f"the hand-over faults at {where:#x}: {error}", hint="look at the segments: something lies in the way"
            )


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
    # Paging last: it needs all the others.
    emulator.msr_write(_EFER, state.efer)
    emulator.reg_write(_register("cr0"), state.cr0)


def _read(emulator: unicorn.Uc, names: Iterable[str]) -> dict[str, int]:
    """The registers; harmless while the emulator runs, which reading an MSR is not."""
    return {name: emulator.reg_read(_register(name)) for name in names}


def _read_state(emulator: unicorn.Uc) -> CpuState:
    values = _read(emulator, (*_GENERAL, "rip", "rflags", "cr0", "cr3", "cr4"))
    return CpuState(**values, efer=emulator.msr_read(_EFER))
