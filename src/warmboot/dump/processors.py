"""The processors of the machine that crashed: the registers that each saved, and what it ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.formats.elf import notes

if TYPE_CHECKING:
    from warmboot.dump.kernel import Kernel

__all__ = ["Processor", "processors"]

_NT_PRSTATUS = 1
_NOTE = 1024  # bytes that are looked at of struct note_buf: NT_PRSTATUS has some 360


@dataclass(frozen=True, slots=True)
class Processor:
    """`task` is the address of the struct task_struct that it ran (virtual; 0 where it is not known); `prstatus` the
    descriptor of its NT_PRSTATUS note, empty where it saved none; `panicked`: it called panic() or died."""

    number: int
    task: int
    prstatus: bytes
    panicked: bool


def processors(kernel: Kernel, file_notes: bytes = b"") -> tuple[Processor, ...]:
    """Every processor that is present.

    Registers are those of `crash_notes` (kernel/crash_core.c), where the kernel itself saves them; if it has not, as in
    a dump that QEMU made of a guest, those of the file's notes, in their order. Raises DumpError.
    """
    panicked, of_file = _panicked(kernel), _prstatus(file_notes)
    try:
        rq, runqueues = kernel.btf.struct("rq"), kernel.symbols.needed("runqueues")
        present = kernel.processors
    except DumpError:
        if not of_file:
            raise
        return tuple(Processor(n, 0, each, n == panicked) for n, each in enumerate(of_file))
    saved = {cpu: _saved(kernel, offset) for cpu, offset in present.items()}
    if not any(saved.values()):
        saved = {cpu: of_file[n] if n < len(of_file) else b"" for n, cpu in enumerate(saved)}
    found = []
    for cpu, offset in present.items():
        try:
            task = kernel.number(runqueues + offset + rq.offset("curr"))
        except DumpError:
            task = 0
        found.append(Processor(cpu, task, saved[cpu], cpu == panicked))
    return tuple(found)


def _panicked(kernel: Kernel) -> int:
    """The processor that panicked; -1 where none did."""
    for name in ("panic_cpu", "crashing_cpu"):
        try:
            number = kernel.variable(name, 4, signed=True)
        except DumpError:
            continue
        if number >= 0:
            return number
    return -1


def _saved(kernel: Kernel, offset: int) -> bytes:
    try:
        at = kernel.variable("crash_notes")
        found = _prstatus(kernel.memory.virtual(at + offset & (1 << 64) - 1, _NOTE // 2)) if at else []
    except DumpError:
        return b""
    return found[0] if found else b""


def _prstatus(data: bytes) -> list[bytes]:
    return [
        text for name, kind, text in notes(memoryview(data)) if kind == _NT_PRSTATUS and name.rstrip(b"\0") == b"CORE"
    ]
