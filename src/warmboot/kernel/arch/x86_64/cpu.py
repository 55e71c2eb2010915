"""The processor's state at a hand-over: what the running kernel leaves, what the next one finds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar

__all__ = ["CpuState"]

_FLAG_BOX = 8  # of r8, see relocate_kernel.S


@dataclass(frozen=True, slots=True)
class CpuState:
    """General and control registers of one x86_64 processor in 64-bit mode, interrupts off.

    Every value is the register's whole 64 bits; rip, rsp and cr3 are physical addresses, as memory is
    identity mapped throughout a hand-over.
    """

    MACHINE: ClassVar[str] = "x86_64"  # as `uname -m` names it

    rip: int
    cr3: int
    rsp: int = 0
    rax: int = 0
    rbx: int = 0
    rcx: int = 0
    rdx: int = 0
    rsi: int = 0
    rdi: int = 0
    rbp: int = 0
    r8: int = 0
    r9: int = 0
    r10: int = 0
    r11: int = 0
    r12: int = 0
    r13: int = 0
    r14: int = 0
    r15: int = 0
    rflags: int = 2
    cr0: int = 0x8000_0033  # PG NE ET MP PE
    cr4: int = 0x20  # PAE
    efer: int = 0x500  # LMA LME

    @property
    def pc(self) -> int:
        """The address of the next instruction, physical, whatever the architecture calls that register."""
        return self.rip

    def marking(self, box: int) -> CpuState:
        """The same at the relocation code's start, which is to mark its stages in the black box at this physical
        address."""
        return replace(self, r8=self.r8 | _FLAG_BOX, r9=box)

    def as_dict(self) -> dict[str, int]:
        """Register names and values, in the order in which they are declared."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
