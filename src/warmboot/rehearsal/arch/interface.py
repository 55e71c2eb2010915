"""What a rehearsal asks of an architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from warmboot.kernel import CpuState
from warmboot.memmap import Range

__all__ = ["RehearsalArch"]


class RehearsalArch(Protocol):
    """One architecture's part."""

    @property
    def direct_map(self) -> int:
        """The virtual address of physical address 0, as without address randomization."""
        ...

    @property
    def kernel_text(self) -> tuple[int, Range]:
        """Where the running kernel's text is if the facts do not tell: virtual, and physical."""
        ...

    def demo_kernel(self, regions: Sequence[tuple[int, int]] = ()) -> bytes:
        """The demo kernel's file, which reports the SHA-256 of each of `regions`: (physical address, bytes)."""
        ...

    def relocated_to(self, state: CpuState) -> int:
        """The destination, physical, that the relocation code is at."""
        ...

    @property
    def crash_marks(self) -> Mapping[str, int]:
        """What the crash's agent has in registers that a system call leaves alone, by name."""
        ...

    def first_argument(self, registers: bytes) -> int:
        """The first argument of a function that begins, from registers as GDB has them."""
        ...

    @property
    def call_of_null(self) -> bytes:
        """Code that calls address 0."""
        ...

    @property
    def endless_loop(self) -> bytes:
        """Code that goes round for ever, at any address."""
        ...

    def crash_agent(self) -> bytes:
        """The program that loads a capture kernel and crashes, see crash_agent.S: an ELF file."""
        ...

    def pushed_marks(self) -> bytes:
        """`crash_marks` as a system call's entry leaves them on the kernel's stack, little-endian."""
        ...

    def pack_prstatus(self, process: int, registers: Mapping[str, int]) -> bytes:
        """The descriptor of a processor's NT_PRSTATUS."""
        ...

    def prstatus(self, desc: bytes) -> tuple[int, dict[str, int]] | None:
        """The process and the registers of an NT_PRSTATUS; None for what is none."""
        ...

    def pointers(self, registers: Mapping[str, int]) -> tuple[int, int]:
        """Program counter and stack pointer."""
        ...

    def with_pointers(self, registers: Mapping[str, int], counter: int, stack: int) -> Mapping[str, int]:
        """The registers with that program counter and stack pointer."""
        ...
