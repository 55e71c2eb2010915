"""A whole computer in QEMU, on memory that we share with it and fill while its firmware is at work.

Which computer, its architecture says (see `arch.interface.Computer`). Its firmware lays down its tables, a stub of ours
parks the boot processor, and `release` hands that processor over. Nothing is kept in files and nothing listens on a
port.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from warmboot.closing import Closing
from warmboot.errors import MissingToolError, RefusedError
from warmboot.files.anonymous import anonymous_file
from warmboot.kernel import CpuState, PhysicalMemory
from warmboot.machines.accel import accel_option, choose
from warmboot.machines.arch import DEFAULT, Accel, Computer, FirmwareTold, Mailbox, of
from warmboot.machines.console import ConsoleLine, ConsoleReader
from warmboot.machines.console_copy import ConsoleCopy
from warmboot.machines.lifeline import spawn
from warmboot.machines.qmp import Ending, Events
from warmboot.programs import find_program

__all__ = ["ConsoleLine", "Ending", "QemuMachine", "console_pipe", "find_qemu"]

_QEMU_VARIABLE = "WARMBOOT_QEMU"

_POLL = 0.001  # seconds between looks at the mailbox
_PIPE_SIZE = 1 << 20  # bytes: what an unprivileged user may have (pipe-max-size)
_PATIENCE = 2.0  # seconds that QEMU gets to follow each request to end


def find_qemu(machine: str = DEFAULT) -> Path:
    """The QEMU to run: what the environment's WARMBOOT_QEMU names, else the architecture's in the system's own
    folders, whatever the caller's PATH is.

    Raises MissingToolError.
    """
    arch, named = of(machine), os.environ.get(_QEMU_VARIABLE)
    found = shutil.which(named) if named else find_program(arch.qemu)
    if found is None:
        if named:
            raise MissingToolError(
                f"{_QEMU_VARIABLE}={named}: not a program", hint=f"name a {arch.qemu}, or unset {_QEMU_VARIABLE}"
            )
        raise MissingToolError(
            f"{arch.qemu}: not installed", hint=f"apt-get install --no-install-recommends {arch.qemu_package}"
        )
    return Path(found)


class QemuMachine(Closing):
    """One run of a computer: `start`, load the image meanwhile, `release`, read `lines`, ask `outcome`.

    `memory_fd` is the memory file (a memfd, open for reading and writing) with at least the bytes of the computer's
    banks; its `firmware_room` must not be used. Everything that comes over the serial port is also written to
    `console` as it comes, up to `console_copy.console_limit`. `options` are more of QEMU's, which inherits
    `fds`. A context manager; `close` ends it, whatever state it is in.

    If this process is killed, the kernel kills QEMU.
    """

    def __init__(
        self,
        computer: Computer,
        *,
        memory_fd: int,
        accel: Accel | None = None,
        console: BinaryIO | None = None,
        options: Sequence[str] = (),
        fds: Sequence[int] = (),
    ) -> None:
        self._more, self._fds = options, fds
        self._computer = computer
        self._memory_fd = memory_fd
        self._accel = accel
        self._copy = None if console is None else ConsoleCopy(console)
        self._held = ExitStack()  # what close() lets go of once QEMU is gone
        self._mailbox: Mailbox  # these four from start() on
        self._stderr: int
        self._console: ConsoleReader
        self._events: Events | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._outcome: Ending | None = None

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._running().pid

    @property
    def description(self) -> str:
        """The computer in few words, such as "QEMU by tcg, 2 processors, 1024 MiB"."""
        return f"QEMU by {self._accel}, {self._computer.description}"

    @property
    def ended(self) -> bool:
        """Whether QEMU is gone."""
        return self._running().poll() is not None

    def start(self) -> None:
        """Start QEMU and return at once, within some milliseconds; its firmware needs 0.1 to 0.2 s.

        Where no accelerator was given, the first start after a boot also probes KVM, see `accel`. Raises
        MissingToolError, and InputError for a wrong WARMBOOT_ACCEL. What QEMU itself refuses is seen by `wait_ready`.
        """
        if self._process is not None:
            raise ValueError("a QemuMachine runs once")
        qemu = find_qemu(self._computer.machine)
        try:
            with ExitStack() as passed:
                self._spawn(qemu, passed)
        except BaseException:
            self.close()
            raise

    def wait_ready(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the stub.

        Raises RefusedError where QEMU ended instead, with its own words, or the time is up.
        """
        process = self._running()
        deadline = time.monotonic() + timeout
        while not self._mailbox.ready():
            if process.poll() is not None:
                raise self._died(process.returncode)
            if time.monotonic() > deadline:
                raise RefusedError(
                    f"QEMU's firmware was not done after {timeout:g} s",
                    hint="allow more time, or set WARMBOOT_ACCEL=tcg if KVM was used",
                )
            time.sleep(_POLL)

    def firmware(self, memory: PhysicalMemory, timeout: float) -> FirmwareTold:
        """What the firmware leaves in the computer's memory, when it is done. Raises as `wait_ready`."""
        self.wait_ready(timeout)
        return self._mailbox.told(memory)

    def release(self, state: CpuState, *, rsdp_copy: int = 0, timeout: float = 30.0) -> None:
        """Hand the boot processor to `state`, after waiting up to `timeout` seconds for the stub.

        All registers arrive as given, but for the page tables: the processor comes on the stub's, which map memory
        to itself. There is no interrupt table, and the other processors wait to be started. At the physical address
        `rsdp_copy`, if not 0, is a copy of the firmware's RSDP. Raises as `wait_ready`.
        """
        self.wait_ready(timeout)
        self._mailbox.release(state, rsdp_copy=rsdp_copy)

    def lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """Console lines as they come, until the machine is gone or `timeout` seconds are over.

        May be called again to go on where the last call stopped. An unfinished last line is shown too.
        """
        self._running()
        return self._console.lines(timeout)

    def console_notes(self) -> tuple[str, ...]:
        """What of the console was not kept, in words; empty where nothing was lost."""
        self._running()
        return self._console.notes()

    def outcome(self, timeout: float) -> Ending | None:
        """How the machine ended, waiting up to `timeout` seconds for it; None while it runs.

        To be asked before `close`, after which it only repeats itself, and not from an asyncio event loop.
        """
        process = self._running()
        if self._outcome is None and self._events is not None:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(timeout)
                self._outcome = self._events.outcome(status)
        return self._outcome

    def close(self) -> None:
        """End QEMU if it runs (quit by QMP, else SIGTERM, else SIGKILL) and leave nothing behind."""
        process = self._process
        try:
            if process is not None and process.poll() is None and self._events is not None:
                self._events.quit()
                _wait(process)
            if process is not None and process.poll() is None:
                process.terminate()
                _wait(process)
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
            self._events = None
            self._held.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ValueError("start() has not been called")
        return self._process

    def _spawn(self, qemu: Path, passed: ExitStack) -> None:
        """Start QEMU; `passed` closes our copies of what only QEMU shall hold."""
        accel = self._accel = self._accel or choose(qemu, self._computer.machine)
        self._mailbox = self._computer.mailbox(self._memory_fd)
        self._held.callback(self._mailbox.close)
        files = {name: anonymous_file(content, name) for name, content in self._computer.files().items()}
        for each in files.values():
            passed.callback(os.close, each)
        self._stderr = anonymous_file(b"", "qemu-stderr")
        self._held.callback(os.close, self._stderr)
        ours, serial = console_pipe(self._held, passed)
        self._events = Events(self._held)

        command = [str(qemu), *self._options(accel, files, serial, self._events.theirs.fileno())]
        fds = [self._memory_fd, *files.values(), serial, self._events.theirs.fileno(), *self._fds]
        self._process = spawn(command, self._held, pass_fds=fds, stderr=self._stderr)
        passed.close()  # before the reader starts: it sees the end when QEMU's copy is the only one
        self._console = ConsoleReader(ours, self._copy)
        self._held.callback(self._console.close)

    def _options(self, accel: Accel, files: Mapping[str, int], serial: int, qmp: int) -> list[str]:
        paths = {name: f"/proc/self/fd/{fd}" for name, fd in files.items()}
        options = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", accel_option(accel)]
        options += self._computer.options(accel, f"/proc/self/fd/{self._memory_fd}", paths)
        options += ["-chardev", f"file,id=serial,path=/proc/self/fd/{serial}", "-serial", "chardev:serial"]
        options += ["-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control", *self._more]
        return options

    def _died(self, status: int) -> RefusedError:
        said = os.pread(self._stderr, 1 << 16, 0).decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), f"exit status {status}")
        if "memory" in last.lower() or "phys-bits" in last:
            hint = "give the machine less memory, or free some on this computer"
        elif self._accel is Accel.TCG:
            hint = f"try a newer QEMU, named by {_QEMU_VARIABLE}"
        else:
            hint = f"try a newer QEMU, named by {_QEMU_VARIABLE}, or WARMBOOT_ACCEL=tcg"
        return RefusedError(f"QEMU ended before its firmware was done: {last}", hint=hint)


def console_pipe(held: ExitStack, theirs: ExitStack) -> tuple[BinaryIO, int]:
    """A pipe for the serial port: our reading end, and QEMU's writing end, each closed by its stack.

    QEMU writes byte by byte and, where a byte does not fit, tries a few times and drops it. A socket has room for
    some 300 such writes, each of which it counts with its bookkeeping; a pipe puts them behind one another.
    """
    reading, serial = os.pipe()
    ours = held.enter_context(os.fdopen(reading, "rb", buffering=0))
    theirs.callback(os.close, serial)
    with suppress(OSError):  # a user with very many pipes gets a small one
        fcntl.fcntl(serial, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
    return ours, serial


def _wait(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
