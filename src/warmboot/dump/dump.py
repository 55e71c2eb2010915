"""A dump for programs: memory, symbols, types, and what the kernel was doing."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump import opening
from warmboot.dump.kernel import Kernel

if TYPE_CHECKING:
    from warmboot.dump.bt import Backtrace, Backtraces
    from warmboot.dump.btf import Btf
    from warmboot.dump.kallsyms import Kallsyms
    from warmboot.dump.modules import Modules
    from warmboot.dump.source import Source
    from warmboot.dump.tasks import Tasks
    from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["Dump", "open_dump"]


class Dump:
    """A dump that is open. Everything is read when it is asked for; what is not there raises DumpError."""

    def __init__(self, memory: Source) -> None:
        self.memory: Source = memory
        self.kernel: Kernel = Kernel(memory)

    @property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """What the kernel notes of itself: release, sizes, offsets."""
        return self.memory.vmcoreinfo

    @property
    def symbols(self) -> Kallsyms:
        """The kernel's symbols: `address(name)`, `lookup(address)`."""
        return self.kernel.symbols

    @property
    def types(self) -> Btf:
        """The kernel's types: `struct(name)`, `enum(name)`."""
        return self.kernel.btf

    def read(self, address: int, size: int, *, physical: bool = False) -> bytes:
        """`size` bytes at a kernel virtual address, or at a physical one."""
        return self.memory.physical(address, size) if physical else self.memory.virtual(address, size)

    def tasks(self) -> Tasks:
        """Every task, and what could not be read."""
        from warmboot.dump.tasks import read_tasks  # noqa: PLC0415 - each part when it is asked for, as below

        return read_tasks(self.kernel)

    def modules(self) -> Modules:
        """Every module, and what could not be read."""
        from warmboot.dump.modules import read_modules  # noqa: PLC0415

        return read_modules(self.kernel)

    @cached_property
    def backtraces(self) -> Backtraces:
        """Call chains: `processors`, `processor(each)`, `task(address)`."""
        from warmboot.dump.bt import Backtraces  # noqa: PLC0415

        return Backtraces(self.kernel, self.memory.notes)

    def panicked(self) -> Backtrace | None:
        """The call chain of the processor that panicked; None where none did."""
        found = [each for each in self.backtraces.processors if each.panicked]
        return self.backtraces.processor(found[0]) if found else None


def open_dump(path: str | Path, *more: str | Path) -> Dump:
    """The dump in a file, or in all files of a split one: an ELF core such as /proc/vmcore, kdump-compressed, flattened
    or not, or memory without headers, such as QEMU's memory-backend-file. Raises DumpError."""
    return Dump(opening.open_dump(Path(path), *map(Path, more)))
