"""What a dump's reader asks of an architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory
    from warmboot.dump.kernel import Kernel
    from warmboot.dump.modules import ModuleSymbols
    from warmboot.dump.source import Mapped
    from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["Cursor", "DumpArch", "How", "UnwindEnd"]


class How(StrEnum):
    """How a frame was found."""

    REGISTERS = "registers"  # the first: where the processor was, or the task goes on
    ORC = "orc"
    CALL = "call"  # the first address on the stack behind a call of the function before, where ORC has nothing
    SCAN = "scan"  # an address on the stack that a call may have left, now or earlier


@dataclass(frozen=True, slots=True)
class Cursor:
    """A frame of a stack: registers by pt_regs' names, "ip" and "sp" always. `exact`: the processor was at that address
    itself; otherwise it is the address to which a call returns."""

    registers: dict[str, int]
    exact: bool
    how: How = How.ORC


class UnwindEnd(Exception):  # noqa: N818 - it is no error
    """The stack was unwound to its end: "user mode" or "end of the stack"."""


class DumpArch(Protocol):
    """Addresses are in bytes."""

    section_size_bits: int  # of a memory section, where VMCOREINFO does not say

    def translate(
        self, physical: Callable[[int, int], bytes], info: Vmcoreinfo, address: int
    ) -> tuple[int, int] | None:
        """The physical address of a kernel virtual one, and how many bytes from there on are in a row; None where it
        is not mapped. `physical` reads memory. Raises DumpError."""

    def processor(self, prstatus: bytes) -> Cursor:
        """Where a processor was, by the descriptor of its NT_PRSTATUS note. Raises DumpError."""

    def sleeping(self, kernel: Kernel, task: int) -> Cursor:
        """Where a task that does not run goes on. Raises DumpError."""

    def unwind(self, kernel: Kernel, modules: ModuleSymbols, start: Cursor) -> Iterator[Cursor]:
        """The frames from `start` on. Raises UnwindEnd at the end, DumpError where it goes no further."""

    def called(self, before: bytes) -> bool:
        """Whether the bytes before an address end in a call, so that it can be a return address."""

    def kernel_map(self, memory: Memory) -> tuple[tuple[Mapped, ...], int]:
        """Where the kernel's own image is mapped, and the virtual address of physical address 0. Raises DumpError."""
