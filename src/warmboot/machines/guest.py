"""A real Linux kernel in QEMU, started by QEMU's own loader: a console to look at and a second port to talk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from warmboot.closing import Closing
from warmboot.errors import InputError
from warmboot.files.anonymous import anonymous_file
from warmboot.machines.accel import Accel, accel_option, choose, cpu_model
from warmboot.machines.console import ConsoleLine, ConsoleReader
from warmboot.machines.console_copy import ConsoleCopy
from warmboot.machines.lifeline import spawn
from warmboot.machines.qemu import console_pipe, find_qemu
from warmboot.machines.translated import asked
from warmboot.visible import visible

__all__ = ["COMMAND_LINE", "Guest", "GuestError"]

COMMAND_LINE = "console=ttyS0 quiet panic=-1 nokaslr"
_MACHINE = "pc,usb=off,vmport=off"
_LAST_WORDS = 40  # lines
_PANIC = "Kernel panic"
_PATIENCE = 2.0  # seconds that QEMU gets to end
_LONGEST_ANSWER = 1 << 20  # bytes of a line on the second port: /proc/iomem in hexadecimal is one
_LONGEST_WORDS = 500  # characters of a line of the console, in an error


class GuestError(InputError):
    """The kernel does not boot, or the guest dies or falls silent: `what`, and the console's `last_words`."""

    def __init__(self, message: str, last_words: list[str]) -> None:
        told = (
            "".join(f"\n  | {visible(line, most=_LONGEST_WORDS, keep_tab=True)}" for line in last_words)
            or "\n  | (nothing on the console)"
        )
        super().__init__(
            f"{message}; the console's last words:{told}",
            hint="see that the kernel boots in QEMU with an initramfs and console=ttyS0",
        )
        self.what = message
        self.last_words = last_words


class Guest(Closing):
    """One run of `kernel` with the cpio archives `initrds` and `memory` bytes. A context manager.

    `append` goes after `command_line`. `options` are more of QEMU's, which inherits the files `fds`.
    `accelerator` are more words of -accel. Without a `kernel` firmware looks for what to start, on drives that
    `options` bring. If this process is killed, the kernel kills QEMU.
    """

    def __init__(
        self,
        kernel: Path | None,
        initrds: list[bytes],
        *,
        memory: int,
        append: str = "",
        options: Sequence[str] = (),
        fds: Sequence[int] = (),
        cpus: int = 1,
        command_line: str = COMMAND_LINE,
        console: BinaryIO | None = None,
        accelerator: Sequence[str] = (),
        machine: str = _MACHINE,
    ) -> None:
        self._held = ExitStack()
        self._accelerator, self._machine = accelerator, machine
        self._options, self._fds, self._cpus = options, fds, cpus
        self._copy = None if console is None else ConsoleCopy(console)
        try:
            with ExitStack() as passed:
                self._start(kernel, initrds, memory, f"{command_line} {append}".strip(), passed)
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        """End QEMU, whatever it is doing."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        if self._translated is not None:
            self._translated.read(self._log)
        self._held.close()

    def lines(self, timeout: float) -> Iterator[str]:
        """What comes over the second port, until it is closed.

        It is a stranger's text. Raises GuestError after `timeout` seconds without a whole line, and where one is longer
        than 1 MiB.
        """
        while True:
            for line in self._port.lines(timeout):
                if line.cut:
                    raise GuestError(f"the guest sent a line of more than {_LONGEST_ANSWER} bytes", self.last_words())
                if line.complete:
                    yield line.text
                    break
            else:
                # Closed or silent: QEMU has ended, or somebody must end it.
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.5)
                if self._process.poll() is not None:
                    return
                raise GuestError(f"the guest has said nothing for {timeout:.0f} s", self.last_words())

    def send(self, line: str) -> None:
        """Write a line to the second port. Raises GuestError where nobody is left to read it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise GuestError("the guest has gone", self.last_words()) from None

    def console(self, timeout: float) -> Iterator[str]:
        """Whole lines of the console, a stranger's text, until it is closed or `timeout` seconds are over."""
        return (line.text for line in self._console.lines(timeout) if line.complete)

    @property
    def ended(self) -> bool:
        """Whether QEMU is gone; lines of it may still be unread."""
        return self._process.poll() is not None

    def port_lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """What comes over the second port within `timeout` seconds, with the time at which it came."""
        return self._port.lines(timeout)

    def console_lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """The same of the console."""
        return self._console.lines(timeout)

    def complaints(self) -> list[str]:
        """The last lines that QEMU itself wrote."""
        return os.pread(self._stderr, 1 << 16, 0).decode("utf-8", "replace").splitlines()[-_LAST_WORDS:]

    def last_words(self) -> list[str]:
        """The last lines of the console, or those of its panic, and of QEMU where it complained; a stranger's text."""
        self._process.kill()
        words = [line.text for line in self._console.lines(_PATIENCE) if line.text.strip()]
        start = max(0, len(words) - _LAST_WORDS)
        start = next((number for number, text in enumerate(words[:start]) if _PANIC in text), start)
        return words[start : start + _LAST_WORDS] + self.complaints()

    def _start(
        self, kernel: Path | None, initrds: list[bytes], memory: int, command_line: str, passed: ExitStack
    ) -> None:
        """Start QEMU; `passed` closes our copies of what only QEMU shall hold."""
        qemu = find_qemu()
        self._translated = asked()
        accel = choose(qemu) if self._translated is None else Accel.TCG  # whose translator tells
        files = [] if kernel is None else [self._opened(kernel), self._memory_file("initrd", b"".join(initrds))]
        self._stderr = self._memory_file("stderr", b"")
        ports = [console_pipe(self._held, passed) for _ in range(2)]

        command = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        # Emulated, `rep stosb` goes byte by byte: a kernel that is told it is fast clears memory by it.
        model = cpu_model(accel) + (",-erms,-fsrm" if accel is Accel.TCG else "")
        command += [
            "-accel",
            accel_option(accel, *self._accelerator),
            "-cpu",
            model,
            "-machine",
            self._machine,
        ]
        command += ["-smp", str(self._cpus), "-m", f"{memory}B"]
        if files:
            kernel_fd, initrd_fd = files
            command += ["-kernel", f"/proc/self/fd/{kernel_fd}", "-initrd", f"/proc/self/fd/{initrd_fd}"]
            command += ["-append", command_line]
        (_, console), (_, port) = ports
        command += ["-chardev", f"file,id=s0,path=/proc/self/fd/{console}", "-serial", "chardev:s0"]
        command += ["-chardev", "stdio,id=s1,signal=off", "-serial", "chardev:s1", *self._options]
        told = list[int]()
        if self._translated is not None:
            self._log = self._memory_file("translated", b"")
            command += self._translated.options(self._log)
            told = [self._log]
        self._process = spawn(
            command,
            self._held,
            pass_fds=[*files, console, *told, *self._fds],
            stdin=subprocess.PIPE,
            stdout=port,
            stderr=self._stderr,
        )
        assert self._process.stdin is not None
        self._held.callback(self._process.stdin.close)
        passed.close()  # before the readers start: they see the end when QEMU's copies are the only ones
        self._console = ConsoleReader(ports[0][0], self._copy)
        self._port = ConsoleReader(ports[1][0], longest=_LONGEST_ANSWER)
        self._held.callback(self._console.close)
        self._held.callback(self._port.close)

    def _opened(self, kernel: Path) -> int:
        try:
            file = os.open(kernel, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(
                f"{visible(str(kernel))}: cannot be read: {error.strerror}", hint="give a kernel's vmlinuz"
            ) from None
        self._held.callback(os.close, file)
        return file

    def _memory_file(self, name: str, content: bytes) -> int:
        file = anonymous_file(content, name)
        self._held.callback(os.close, file)
        return file
