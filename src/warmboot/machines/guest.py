"""A real Linux kernel in QEMU, started by QEMU's own loader: a console to look at and a second port to talk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from warmboot.closing import Closing
from warmboot.errors import InputError
from warmboot.files.anonymous import anonymous_file
from warmboot.machines.accel import Accel, choose, cpu_model
from warmboot.machines.console import ConsoleReader
from warmboot.machines.lifeline import spawn
from warmboot.machines.qemu import console_pipe, find_qemu
from warmboot.visible import visible

__all__ = ["Guest", "GuestError"]

_COMMAND_LINE = "console=ttyS0 quiet panic=-1 nokaslr"
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

    `options` are more of QEMU's, which inherits the files `fds`.
    If this process is killed, the kernel kills QEMU.
    """

    def __init__(
        self,
        kernel: Path,
        initrds: list[bytes],
        *,
        memory: int,
        append: str = "",
        options: Sequence[str] = (),
        fds: Sequence[int] = (),
    ) -> None:
        self._held = ExitStack()
        self._options, self._fds = options, fds
        try:
            with ExitStack() as passed:
                self._start(kernel, initrds, memory, f"{_COMMAND_LINE} {append}".strip(), passed)
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        """End QEMU, whatever it is doing."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
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

    def last_words(self) -> list[str]:
        """The last lines of the console, or those of its panic, and of QEMU where it complained; a stranger's text."""
        self._process.kill()
        words = [line.text for line in self._console.lines(_PATIENCE) if line.text.strip()]
        start = max(0, len(words) - _LAST_WORDS)
        start = next((number for number, text in enumerate(words[:start]) if _PANIC in text), start)
        complaints = os.pread(self._stderr, 1 << 16, 0).decode("utf-8", "replace").splitlines()
        return words[start : start + _LAST_WORDS] + complaints[-_LAST_WORDS:]

    def _start(self, kernel: Path, initrds: list[bytes], memory: int, command_line: str, passed: ExitStack) -> None:
        """Start QEMU; `passed` closes our copies of what only QEMU shall hold."""
        qemu = find_qemu()
        accel = choose(qemu)
        try:
            kernel_fd = os.open(kernel, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(
                f"{visible(str(kernel))}: cannot be read: {error.strerror}", hint="give a kernel's vmlinuz"
            ) from None
        self._held.callback(os.close, kernel_fd)
        initrd_fd = self._memory_file("initrd", b"".join(initrds))
        self._stderr = self._memory_file("stderr", b"")
        ports = [console_pipe(self._held, passed) for _ in range(2)]

        command = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        # Emulated, `rep stosb` goes byte by byte: a kernel that is told it is fast clears memory by it.
        model = cpu_model(accel) + (",-erms,-fsrm" if accel is Accel.TCG else "")
        command += ["-accel", accel, "-cpu", model, "-machine", "pc,usb=off,vmport=off"]
        command += ["-smp", "1", "-m", f"{memory}B", "-append", command_line]
        command += ["-kernel", f"/proc/self/fd/{kernel_fd}", "-initrd", f"/proc/self/fd/{initrd_fd}"]
        (_, console), (_, port) = ports
        command += ["-chardev", f"file,id=s0,path=/proc/self/fd/{console}", "-serial", "chardev:s0"]
        command += ["-chardev", "stdio,id=s1,signal=off", "-serial", "chardev:s1", *self._options]
        self._process = spawn(
            command,
            self._held,
            pass_fds=[kernel_fd, initrd_fd, console, *self._fds],
            stdin=subprocess.PIPE,
            stdout=port,
            stderr=self._stderr,
        )
        assert self._process.stdin is not None
        self._held.callback(self._process.stdin.close)
        passed.close()  # before the readers start: they see the end when QEMU's copies are the only ones
        self._console = ConsoleReader(ports[0][0])
        self._port = ConsoleReader(ports[1][0], longest=_LONGEST_ANSWER)
        self._held.callback(self._console.close)
        self._held.callback(self._port.close)

    def _memory_file(self, name: str, content: bytes) -> int:
        file = anonymous_file(content, name)
        self._held.callback(os.close, file)
        return file
