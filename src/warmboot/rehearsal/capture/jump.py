"""A guest's memory at the jump: every processor of the crashed kernel stands still, no instruction of the next one ran.

QEMU's debug stub stops at machine_kexec, whose argument is the image; then at the image's first instruction. In between
the crashed kernel still writes to its stack. The guest's memory is a file, so its copy is cheap.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from warmboot.files.anonymous import new_file
from warmboot.kernel import PhysicalMemory
from warmboot.machines.gdb import Debugger, DebuggerError
from warmboot.machines.qmp import Monitor, MonitorError, connected
from warmboot.memmap import Range
from warmboot.rehearsal.arch import RehearsalArch
from warmboot.rehearsal.capture.compare import Compared, copied
from warmboot.rehearsal.capture.found import SavedDump

__all__ = ["JUMP", "Jump"]

JUMP = "machine_kexec"
_START = 24  # offset of start in struct kimage, behind three pointers (include/linux/kexec.h)
_MOST = 2 << 30  # bytes of memory: up to there the guest's addresses are the file's offsets


class Jump:
    """Stops a guest of `memory` bytes at its jump. `stack` closes what it needs; QEMU inherits `fds`.

    `before` is the file with the copy, once there is one; `problem` says why there is none.
    """

    def __init__(self, memory: int, arch: RehearsalArch, stack: ExitStack) -> None:
        self._arch, self._stack = arch, stack
        self._passed = ExitStack()
        stack.callback(self._passed.close)
        self._monitored, monitor = connected(stack, self._passed)
        self._debugged, debug = connected(stack, self._passed)
        self.fds: list[int] = [monitor.fileno(), debug.fileno()]
        self.options: list[str] = [
            *("-chardev", f"socket,id=hurt,fd={monitor.fileno()}", "-mon", "chardev=hurt,mode=control"),
            *("-chardev", f"socket,id=debug,fd={debug.fileno()}"),
        ]
        self.memory: PhysicalMemory | None = None
        self.before: int | None = None
        self.problem: str = ""
        if memory <= _MOST:
            self.memory = stack.enter_context(PhysicalMemory([Range(0, memory)]))
            path = f"/proc/self/fd/{self.memory.fd}"
            self.options += ["-object", f"memory-backend-file,id=ram,size={memory},mem-path={path},share=on"]
            self.options += ["-machine", "memory-backend=ram"]
            self.fds.append(self.memory.fd)
        self._debugger: Debugger | None = None
        self._at_jump: int | None = None
        self._monitor: Monitor | None = None

    def started(self) -> None:
        """QEMU runs, and has what it inherits."""
        self._passed.close()

    @property
    def monitor(self) -> Monitor:
        """Commands to QEMU. Raises MonitorError."""
        if self._monitor is None:
            self._monitor = Monitor(self._monitored)
        return self._monitor

    @property
    def debugger(self) -> Debugger:
        """The debug stub; from then on the guest stands still until it is let go. Raises MonitorError."""
        if self._debugger is None:
            self._debugger = Debugger(self._debugged)
            self.monitor.ask("human-monitor-command", **{"command-line": "gdbserver chardev:debug"})
        return self._debugger

    def arm(self, jump: int | None) -> None:
        """Let the guest run until it comes to `jump`, where machine_kexec is; where that is not known, for good."""
        try:
            if jump is None or self.memory is None:
                self.problem = "the guest has too much memory" if self.memory is None else "no machine_kexec is told"
                if self._debugger is not None:
                    self._debugger.detach()
                return
            self.debugger.run_to(jump)
            self._at_jump = jump
        except (DebuggerError, MonitorError) as error:
            self.problem = str(error)

    def catch(self, timeout: float) -> None:
        """Wait for the jump, copy the memory, and let the guest go on."""
        if self._at_jump is None or self._debugger is None or self.memory is None:
            return
        debugger = self._debugger
        try:
            debugger.stopped(self._at_jump, timeout)
            image = self._arch.first_argument(debugger.registers())
            start = int.from_bytes(debugger.read(image + _START, 8), "little")
            debugger.run_to(start)
            debugger.stopped(start, timeout)
            before = new_file("warmboot-before")
            self._stack.callback(os.close, before)
            copied(self.memory.fd, before)
            self.before = before
            debugger.detach()
        except DebuggerError as error:
            self.problem = str(error)

    def compared(self, dump: SavedDump) -> Compared | None:
        """What the dump has, compared with the memory at the jump and at the end; None where there is no copy."""
        if self.before is None or self.memory is None:
            return None
        found = Compared(self.memory, self.before, dump)
        for each in dump.loads[1:]:
            found.add(Range(each.paddr, each.paddr + each.filesz), in_memory=True)
        return found
