"""x86_64."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from warmboot.kernel import CpuState
from warmboot.memmap import Range
from warmboot.rehearsal.arch.interface import RehearsalArch
from warmboot.rehearsal.arch.x86_64 import prstatus
from warmboot.rehearsal.arch.x86_64.crash_agent import MARKS, crash_agent
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

__all__ = ["ARCH"]


class _X86:
    """See RehearsalArch."""

    direct_map = 0xFFFF_8880_0000_0000  # PAGE_OFFSET with 4-level page tables
    kernel_text = (0xFFFF_FFFF_8100_0000, Range(16 << 20, 64 << 20))  # __START_KERNEL

    def demo_kernel(self, regions: Sequence[tuple[int, int]] = ()) -> bytes:
        return demo_kernel(regions)

    def relocated_to(self, state: CpuState) -> int:
        return state.rbx  # see relocate_kernel.S

    @property
    def crash_marks(self) -> Mapping[str, int]:
        return MARKS

    def first_argument(self, registers: bytes) -> int:
        return int.from_bytes(registers[40:48], "little")  # rdi, after rax, rbx, rcx, rdx, rsi

    call_of_null = bytes.fromhex("31c0 ffd0")  # xor eax, eax; call rax
    endless_loop = bytes.fromhex("ebfe")  # jmp to itself

    def crash_agent(self) -> bytes:
        return crash_agent()

    def pushed_marks(self) -> bytes:
        # struct pt_regs begins with these (arch/x86/entry/calling.h, PUSH_REGS)
        return struct.pack("<6Q", *(MARKS[each] for each in ("r15", "r14", "r13", "r12", "rbp", "rbx")))

    def pack_prstatus(self, process: int, registers: Mapping[str, int]) -> bytes:
        return prstatus.pack(process, registers)

    def prstatus(self, desc: bytes) -> tuple[int, dict[str, int]] | None:
        return prstatus.unpack(desc)

    def pointers(self, registers: Mapping[str, int]) -> tuple[int, int]:
        return registers["rip"], registers["rsp"]

    def with_pointers(self, registers: Mapping[str, int], counter: int, stack: int) -> Mapping[str, int]:
        return {**registers, "rip": counter, "rsp": stack}


ARCH: RehearsalArch = _X86()
