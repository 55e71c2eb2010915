"""The computer of a rehearsed handover: its memory is a file that we read, while it stands still."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from warmboot.closing import Closing
from warmboot.errors import InputError, RefusedError
from warmboot.files.anonymous import new_file
from warmboot.machines.guest import Guest, GuestError
from warmboot.machines.qmp import Monitor, MonitorError
from warmboot.visible import visible

__all__ = ["MOST_MEMORY", "HandedComputer"]

MOST_MEMORY = 3 << 30  # bytes: QEMU's PC has so many in one piece, and an address is an offset in the file
_LEAST_MEMORY = 256 << 20
_POLL = 0.05  # seconds between looks at one port and the other
_MOST_LINES = 100_000  # of the second port
_LAST = 5  # lines of the console in an error
_SHOWN = 200


class HandedComputer(Closing):
    """One run: `kernel` with `initrd`, told `line`. `show` is given each line of the console."""

    def __init__(
        self,
        kernel: Path,
        initrd: bytes,
        line: str,
        *,
        memory: int,
        cpus: int,
        timeout: float,
        show: Callable[[str], None],
        console: BinaryIO | None,
    ) -> None:
        if not _LEAST_MEMORY <= memory <= MOST_MEMORY:
            raise InputError(f"{memory >> 20} MiB of memory: not from 256M to 3G", hint="1G is enough for most")
        self._held, self._show, self._timeout = ExitStack(), show, timeout
        self._recent: list[str] = []
        self._told = 0
        try:
            self.memory_fd: int = new_file("handover-memory")
            self._held.callback(os.close, self.memory_fd)
            os.ftruncate(self.memory_fd, memory)
            ours, theirs = socket.socketpair()
            self._held.callback(ours.close)
            ram = f"memory-backend-file,id=ram,size={memory},mem-path=/proc/self/fd/{self.memory_fd},share=on"
            with theirs:
                options = ["-object", ram, "-machine", "memory-backend=ram"]
                options += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
                self._guest = Guest(
                    kernel,
                    [initrd],
                    memory=memory,
                    command_line=line,
                    cpus=cpus,
                    options=options,
                    fds=[self.memory_fd, theirs.fileno()],
                    console=console,
                )
            self._held.callback(self._guest.close)
            self._monitor = Monitor(ours)
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        """End it, and let its memory go."""
        self._held.close()

    def send(self, line: str) -> None:
        """Tell the agent something."""
        self._guest.send(line)

    def heard(self, *ends: str) -> Iterator[tuple[str, str]]:
        """What the agent says, as its first word and the rest, until a line that begins with one of `ends`.

        Raises RefusedError where the agent fails, the computer ends, or the time is up.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            for line in self._guest.port_lines(_POLL):
                if not line.complete:
                    continue
                self._told += 1
                word, _, rest = line.text.partition(" ")
                if word == "x" or self._told > _MOST_LINES:
                    raise self._failed(f"the guest's agent failed: {visible(rest, most=_SHOWN)}")
                yield word, rest
                if word in ends:
                    self._drain()
                    return
            self._drain()
            if self._guest.ended:
                raise self._failed("the machine ended")
            if time.monotonic() > deadline:
                raise self._failed("the time is up")

    @contextmanager
    def standing_still(self) -> Iterator[int]:
        """The memory's descriptor, while no processor runs. Raises RefusedError where QEMU does not obey."""
        try:
            self._monitor.ask("stop")
            try:
                yield self.memory_fd
            finally:
                self._monitor.ask("cont")
        except MonitorError as error:
            raise self._failed(str(error)) from None

    def _drain(self) -> None:
        for line in self._guest.console_lines(0.0):
            if line.complete:
                self._recent = [*self._recent[-_LAST:], line.text]
                self._show(line.text)

    def _failed(self, what: str) -> RefusedError:
        try:
            words = [each for each in self._guest.last_words() if each.strip()][-_LAST:]
        except GuestError:
            words = []
        last = "; ".join(visible(each.strip(), most=_SHOWN) for each in (words or self._recent))
        return RefusedError(f"{what}; last on the console: {last or 'nothing'}", hint="see all of it by --console FILE")
