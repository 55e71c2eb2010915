"""Call chains: of each processor at the crash, and of any task; by ORC tables, or by a scan of the stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from warmboot.dump import arch
from warmboot.dump.arch.interface import How, UnwindEnd
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import Symbol
from warmboot.dump.modules import ModuleSymbols
from warmboot.dump.processors import Processor, processors
from warmboot.dump.spans import readable
from warmboot.dump.tasks import task_at

if TYPE_CHECKING:
    from warmboot.dump.arch.interface import Cursor
    from warmboot.dump.kernel import Kernel

__all__ = ["Backtrace", "Backtraces", "Frame", "Stacks"]

_STACK = 16 << 10  # bytes, THREAD_SIZE; with KASAN twice that
_MOST_SCANNED = 64  # frames


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of the chain: `ip` and `sp` are virtual addresses, `offset` is in bytes."""

    ip: int
    sp: int
    symbol: str
    offset: int
    module: str
    how: How


@dataclass(frozen=True, slots=True)
class Backtrace:
    """A call chain, innermost function first; `cpu` is None for a task that did not run, `task` the address of its
    struct task_struct. `ended` says why the chain ends; a scan follows where ORC goes no further.
    """

    cpu: int | None
    panicked: bool
    task: int
    pid: int
    comm: str
    frames: tuple[Frame, ...]
    ended: str


@dataclass(frozen=True, slots=True)
class Stacks:
    """The answer of `warmboot dump bt`."""

    backtraces: tuple[Backtrace, ...]
    problems: tuple[str, ...]


class Backtraces:
    """Call chains of one dump. `notes` are the file's, for kernels that saved no registers themselves."""

    def __init__(self, kernel: Kernel, notes: bytes = b"") -> None:
        self._kernel, self._notes = kernel, notes
        self.modules: ModuleSymbols = ModuleSymbols(kernel)
        self._arch = arch.of(kernel.memory.machine)

    @cached_property
    def processors(self) -> tuple[Processor, ...]:
        """The processors. Raises DumpError."""
        return processors(self._kernel, self._notes)

    def processor(self, processor: Processor) -> Backtrace:
        """What a processor did."""
        if not processor.prstatus:
            return self._made(processor, processor.task, (), "no registers were saved of this processor")
        try:
            start = self._arch.processor(processor.prstatus)
        except DumpError as error:
            return self._made(processor, processor.task, (), str(error))
        return self._made(processor, processor.task, *self._frames(start, processor.task))

    def task(self, task: int) -> Backtrace:
        """What a task does, by the address of its struct task_struct."""
        for processor in self.processors:
            if processor.task == task:
                return self.processor(processor)
        try:
            if not self._stack(task):
                return self._made(None, task, (), "its stack was given back: the task has ended")
            start = self._arch.sleeping(self._kernel, task)
        except DumpError as error:
            return self._made(None, task, (), str(error))
        return self._made(None, task, *self._frames(start, task))

    def _made(self, processor: Processor | None, task: int, frames: tuple[Frame, ...], ended: str) -> Backtrace:
        try:
            of = task_at(self._kernel, task)
            pid, comm = of.pid, of.comm
        except DumpError:
            pid, comm = 0, ""
        number, panicked = (None, False) if processor is None else (processor.number, processor.panicked)
        return Backtrace(number, panicked, task, pid, comm, frames, ended)

    def symbol(self, address: int, *, exact: bool = True) -> Symbol:
        """What an address of code is; of a return address, the symbol that the call before it lies in."""
        at = address if exact else address - 1
        found = self.modules.lookup(at)
        if found is None and self._is_text(at):
            found = self._kernel.symbols.lookup(at)
        if found is None:
            return Symbol("", 0)
        return Symbol(found.name, found.offset + address - at, found.module)

    def _frames(self, start: Cursor, task: int) -> tuple[tuple[Frame, ...], str]:
        frames: list[Frame] = []
        sp = start.registers["sp"]
        try:
            for cursor in self._arch.unwind(self._kernel, self.modules, start):
                sp = cursor.registers["sp"]
                frames.append(self._frame(cursor.registers["ip"], sp, cursor.how, exact=cursor.exact))
        except UnwindEnd as end:
            return tuple(frames), str(end)
        except DumpError as error:
            if not frames:
                frames.append(self._frame(start.registers["ip"], sp, How.REGISTERS, exact=start.exact))
            frames.extend(self._scanned(sp, task))
            return tuple(frames), str(error)
        return tuple(frames), ""

    def _frame(self, ip: int, sp: int, how: How, *, exact: bool) -> Frame:
        found = self.symbol(ip, exact=exact)
        return Frame(ip, sp, found.name, found.offset, found.module, how)

    def _scanned(self, sp: int, task: int) -> Iterator[Frame]:
        """Whatever on the rest of the stack may be a return address."""
        end = self._stack_end(sp, task)
        data = readable(self._kernel.memory, sp, max(0, end - sp)) if sp % 8 == 0 else b""
        shown = 0
        for at in range(0, len(data) - 7, 8):
            value = int.from_bytes(data[at : at + 8], self._kernel.order)
            if not (self._is_text(value) or self.modules.module(value)) or not self._after_a_call(value):
                continue
            yield self._frame(value, sp + at, How.SCAN, exact=False)
            shown += 1
            if shown >= _MOST_SCANNED:
                return

    def _stack_end(self, sp: int, task: int) -> int:
        """Where the stack ends that `sp` lies in: the task's, or at least the page."""
        try:
            stack = self._stack(task)
        except DumpError:
            stack = 0
        if stack <= sp < stack + 2 * _STACK:
            return stack + (_STACK if sp < stack + _STACK else 2 * _STACK)
        return (sp | 0xFFF) + 1

    def _stack(self, task: int) -> int:
        """Where the task's stack begins; 0 where it has none any more."""
        return self._kernel.number(task + self._kernel.btf.struct("task_struct").offset("stack"))

    def _after_a_call(self, address: int) -> bool:
        try:
            return self._arch.called(self._kernel.memory.virtual(address - 8, 8))
        except DumpError:
            return False

    @cached_property
    def _text(self) -> tuple[int, int]:
        symbols = self._kernel.symbols
        start = symbols.address("_stext") or 0
        return start, symbols.address("_einittext") or symbols.address("_etext") or 0

    def _is_text(self, address: int) -> bool:
        return self._text[0] <= address < self._text[1]
