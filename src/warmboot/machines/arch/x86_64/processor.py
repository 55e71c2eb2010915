"""Unicorn as an x86_64 processor: its registers, its serial port, and page tables that it cannot walk by itself."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace

import unicorn
from unicorn import x86_const

from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.machines.arch.interface import Translate

__all__ = ["Processor"]

_GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)))
_EFER = 0xC000_0080
_COM1, _COM1_LINE_STATUS = 0x3F8, 0x3FD
_TRANSMITTER_EMPTY = 0x60
_NOTHING_THERE = 0xFF
# Newer models announce BMI2, which the emulator cannot execute.
_CPU_MODEL = x86_const.UC_CPU_X86_IVYBRIDGE
_PHYSICAL_BITS = 40  # of every model: TCG_PHYS_ADDR_BITS of the QEMU 5.0 in Unicorn; more are reserved bits to it

# Page tables: Intel's manual, volume 3, chapter 5
_PAGING = 1 << 31  # CR0.PG
_LA57 = 1 << 12  # CR4.LA57
_PRESENT, _WRITABLE, _LARGE = 1, 2, 1 << 7
_ADDRESS = 0x000F_FFFF_FFFF_F000
_PAGE = 0xFFF
_ENTRY = struct.Struct("<Q")


class Processor:
    """See Emulation."""

    reach = 1 << _PHYSICAL_BITS

    def processor(self, serial: bytearray) -> unicorn.Uc:
        processor = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        processor.ctl_set_cpu_model(_CPU_MODEL)
        processor.hook_add(unicorn.UC_HOOK_INSN, _port_in, None, 1, 0, x86_const.UC_X86_INS_IN)
        processor.hook_add(unicorn.UC_HOOK_INSN, _port_out, serial, 1, 0, x86_const.UC_X86_INS_OUT)
        return processor

    def write(self, processor: unicorn.Uc, state: CpuState) -> None:
        registers = state.as_dict()
        for name in (*_GENERAL, "rflags", "cr4", "cr3"):
            processor.reg_write(_register(name), registers[name])
        # Paging last: it needs all the others.
        processor.msr_write(_EFER, state.efer)
        processor.reg_write(_register("cr0"), state.cr0)

    def read(self, processor: unicorn.Uc) -> CpuState:
        values = _read(processor, (*_GENERAL, "rip", "rflags", "cr0", "cr3", "cr4"))
        return CpuState(**values, efer=processor.msr_read(_EFER))

    def watch(self, processor: unicorn.Uc, state: CpuState) -> CpuState:
        return replace(state, **_read(processor, _GENERAL))

    def pc(self, processor: unicorn.Uc) -> int:
        address: int = processor.reg_read(x86_const.UC_X86_REG_RIP)
        return address

    def translation(self, memory: PhysicalMemory) -> Translate:
        def translate(processor: unicorn.Uc, virtual: int) -> tuple[int, bool] | None:
            registers = _read(processor, ("cr0", "cr3", "cr4"))
            if not registers["cr0"] & _PAGING:
                return virtual & ~_PAGE, True
            return _walk(memory, registers["cr3"] & _ADDRESS, 5 if registers["cr4"] & _LA57 else 4, virtual)

        return translate


def _walk(memory: PhysicalMemory, table: int, levels: int, virtual: int) -> tuple[int, bool] | None:
    """The physical address of a virtual one's 4 KiB page, and whether it may be written; None: not mapped."""
    sign = virtual >> (12 + 9 * levels - 1)
    if sign and sign != (1 << (64 - (12 + 9 * levels - 1))) - 1:
        return None  # not canonical
    writable = True
    for shift in range(12 + 9 * (levels - 1), 11, -9):
        at = table + (virtual >> shift & 0x1FF) * _ENTRY.size
        if not memory.has(at, _ENTRY.size):
            return None
        entry: int = _ENTRY.unpack(memory.read(at, _ENTRY.size))[0]
        if not entry & _PRESENT:
            return None
        writable = writable and bool(entry & _WRITABLE)
        if shift == 12 or entry & _LARGE:
            size = 1 << shift
            return (entry & _ADDRESS & ~(size - 1)) | (virtual & (size - 1) & ~_PAGE), writable
        table = entry & _ADDRESS
    return None


def _port_in(processor: object, port: int, size: int, user_data: object) -> int:
    return _TRANSMITTER_EMPTY if port == _COM1_LINE_STATUS else _NOTHING_THERE


def _port_out(processor: object, port: int, size: int, value: int, user_data: bytearray) -> None:
    if port == _COM1:
        user_data.append(value & 0xFF)


def _register(name: str) -> int:
    number: int = getattr(x86_const, f"UC_X86_REG_{name.upper()}")
    return number


def _read(processor: unicorn.Uc, names: Iterable[str]) -> dict[str, int]:
    """The registers; harmless while the emulator runs, which reading an MSR is not."""
    return {name: processor.reg_read(_register(name)) for name in names}
