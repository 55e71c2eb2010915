"""A processor in this process: runs a hand-over instruction by instruction in the machine's own memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

import unicorn

from warmboot.errors import RefusedError
from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.machines.arch import Emulation, Translate, of
from warmboot.machines.interrupt import DeferredInterrupt
from warmboot.records import dataclass

__all__ = ["Run", "execute"]

_PERIOD = 0.25  # seconds between reports of progress
_PATIENCE = 0.01  # seconds until the emulator is told once more to stop
_LAST = 0xFFFF_FFFF_FFFF_FFFF


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
    with DeferredInterrupt() as interrupt:  # the library itself drops an exception that comes while it frees memory
        return _execute(memory, state, until, _Counter() if count else None, progress, interrupt)


def _execute(
    memory: PhysicalMemory,
    state: CpuState,
    until: int | None,
    counter: _Counter | None,
    progress: Callable[[CpuState], None] | None,
    interrupt: DeferredInterrupt,
) -> Run:
    emulation = of(state.MACHINE).emulation
    serial = bytearray()
    emulator = emulation.processor(serial)
    try:
        for bank in memory.banks:
            emulator.mem_map_ptr(bank.range.start, bank.range.size, unicorn.UC_PROT_ALL, bank.address)
        if counter is not None:
            emulator.hook_add(unicorn.UC_HOOK_CODE, counter)
        emulation.write(emulator, state)
        _Running(emulation, emulator, memory, state, until).run(progress, interrupt)
        last = emulation.read(emulator)
    finally:
        _close(emulator)
    instructions = counter.instructions if counter is not None else None
    return Run(last, until is not None and last.pc == until, bytes(serial), instructions)


def _close(emulator: unicorn.Uc) -> None:
    """Free the emulator at once.

    Its hooks refer to it in a circle, so that it would stay, with a gigabyte of address space, until a garbage
    collection. Its memory is not unmapped first: that looks at every single page, 15 seconds for a terabyte.
    """
    handle = getattr(emulator, "_uch", None)
    if handle is not None:  # another release of the library may have no such name: then a collection must do
        unicorn.Uc.release_handle(handle)
        handle.value = None  # the finalizer finds nothing left to do


class _Running:
    """One run, in a thread of its own, so that an interrupt (Ctrl-C) ends it and progress can be told.

    To stop the emulator for that, and start it again, is no way: stopped from outside, by its time limit too, it
    does not keep the program counter, and would go on with an address that is some blocks old. A fault does keep
    it. So where the machine has memory that the emulator's own address translation does not reach, a fault is tried
    once more with ours.
    """

    def __init__(
        self, emulation: Emulation, emulator: unicorn.Uc, memory: PhysicalMemory, state: CpuState, until: int | None
    ) -> None:
        self._emulation, self._emulator = emulation, emulator
        self._state, self._until = state, until
        self._translate: Translate | None = None
        if any(bank.range.end > emulation.reach for bank in memory.banks):
            self._translate = emulation.translation(memory)
        self._failed: BaseException | None = None
        self._ended = threading.Event()

    def run(self, progress: Callable[[CpuState], None] | None, interrupt: DeferredInterrupt) -> None:
        """Run to the end, or until an interrupt was seen. Raises RefusedError where the code faults."""
        worker = threading.Thread(target=self._run, name="processor", daemon=True)
        worker.start()
        try:
            while not self._ended.wait(_PERIOD) and not interrupt.seen:
                if progress is not None:
                    progress(self._emulation.watch(self._emulator, self._state))
        finally:
            while not self._ended.wait(0):  # again and again: a stop that comes before the start is forgotten
                self._emulator.emu_stop()
                self._ended.wait(_PATIENCE)
            worker.join()
        if self._failed is None:
            return
        if not isinstance(self._failed, unicorn.UcError):
            raise self._failed
        where = self._emulation.pc(self._emulator)
        # To stop at the start of a page the emulator looks at the one before, and faults where there is none.
        if where != self._until:
            raise RefusedError(
                f"the hand-over faults at {where:#x}: {self._failed}",
                hint="look at the segments: something lies in the way",
            )

    def _run(self) -> None:
        # Without an address to stop at, the run ends at a halt; the emulator wants some address all the same.
        end = self._until if self._until is not None else _LAST
        try:
            try:
                self._emulator.emu_start(self._state.pc, end)
            except unicorn.UcError:
                where = self._emulation.pc(self._emulator)
                if self._translate is None or where == self._until:
                    raise
                self._emulator.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
                self._emulator.hook_add(unicorn.UC_HOOK_TLB_FILL, self._fill)
                self._emulator.emu_start(where, end)
        except BaseException as error:
            self._failed = error
        finally:
            self._ended.set()

    def _fill(
        self, emulator: unicorn.Uc, virtual: int, access: int, entry: unicorn.unicorn_py3.uc_tlb_entry, data: object
    ) -> bool:
        assert self._translate is not None
        found = self._translate(emulator, virtual)
        if found is None and virtual == _LAST & ~0xFFF and self._until is None:
            found = self._translate(emulator, self._state.pc)  # the page of the end that nothing comes to
        if found is None:
            return False
        entry.paddr, writable = found
        entry.perms = unicorn.UC_PROT_ALL if writable else unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        return True


class _Counter:
    """Counts instructions; the repetitions of one string instruction come as many times the same address."""

    def __init__(self) -> None:
        self.instructions = 0
        self._last = -1

    def __call__(self, emulator: object, address: int, size: int, user_data: object) -> None:
        if address != self._last:
            self.instructions += 1
            self._last = address
