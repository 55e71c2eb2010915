"""A guest that has booted once, and copies of it that go on from there: a boot takes seconds, a copy a fraction of one.

The guest's memory is a file without a name that QEMU maps shared while it boots; the copies map it privately. What
else QEMU knows of the machine goes through a second file, by migration; its x-ignore-shared leaves the memory out.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.closing import Closing
from warmboot.files.anonymous import new_file
from warmboot.machines.guest import COMMAND_LINE, Guest, GuestError
from warmboot.machines.qmp import Monitor, MonitorError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Snapshot"]

_MOST_WORDS = 1000  # lines that an agent may say before it is ready


class Snapshot(Closing):
    """`kernel` with `initrds`, booted until its agent said `ready`; `words` are the lines before. A context manager.

    `append` goes after `command_line`; `options` are more of QEMU's. With `nodes`, other NUMA nodes may be added to the
    one that has the memory. Raises GuestError where it does not come so far in `timeout` silent seconds.
    """

    def __init__(
        self,
        kernel: Path,
        initrds: Sequence[bytes],
        *,
        memory: int,
        append: str = "",
        command_line: str = COMMAND_LINE,
        options: Sequence[str] = (),
        nodes: bool = False,
        timeout: float = 60.0,
    ) -> None:
        self._kernel, self._initrds, self._append, self._size = kernel, list(initrds), append, memory
        self._command_line, self._options = command_line, options
        self._ram = ["-numa", "node,nodeid=0,memdev=ram"] if nodes else ["-machine", "memory-backend=ram"]
        self.words: list[str] = []
        self._held = ExitStack()
        try:
            self._memory = self._file("memory")
            os.ftruncate(self._memory, memory)
            self._state = self._file("state")
            self._boot(timeout)
        except BaseException:
            self._held.close()
            raise

    def close(self) -> None:
        """End the guest that is copied."""
        self._held.close()

    @contextmanager
    def copy(self) -> Iterator[Guest]:
        """A guest that goes on from `ready`; the next copy knows nothing of it."""
        with self._copied() as (guest, _):
            yield guest

    @contextmanager
    def debugged(self, channel: int) -> Iterator[tuple[Guest, Callable[[int, int], bytes]]]:
        """The same for a debugger, whose socket is `channel`: the guest stands still until that lets it go.

        With it a function that reads physical memory: so many bytes from an address on. It raises GuestError.
        """
        more = ("-chardev", f"socket,id=debug,fd={channel}")
        with self._copied(*more, fds=[channel]) as (guest, monitor):
            monitor.ask("human-monitor-command", **{"command-line": "gdbserver chardev:debug"})
            yield guest, lambda address, size: self._read(monitor, address, size)

    @contextmanager
    def _copied(self, *more: str, fds: Sequence[int] = ()) -> Iterator[tuple[Guest, Monitor]]:
        with self._guest("off", "-incoming", "defer", *more, fds=fds) as (guest, monitor):
            monitor.ask("migrate-incoming", uri=f"exec:cat </proc/{os.getpid()}/fd/{self._state}")
            monitor.wait_for_migration()
            yield guest, monitor

    @staticmethod
    def _read(monitor: Monitor, address: int, size: int) -> bytes:
        file = new_file("read")
        try:
            monitor.ask("pmemsave", val=address, size=size, filename=f"/proc/{os.getpid()}/fd/{file}")
            with open(file, "rb", closefd=False) as saved:
                return saved.read()
        finally:
            os.close(file)

    def _boot(self, timeout: float) -> None:
        with self._guest("on") as (guest, monitor):
            for line in guest.lines(timeout):
                if line == "ready":
                    break
                if len(self.words) == _MOST_WORDS:
                    raise GuestError(f"{self._kernel.name}: the guest says too much", guest.last_words())
                self.words.append(line)
            else:
                raise GuestError(f"{self._kernel.name}: the guest ended before it was ready", guest.last_words())
            monitor.ask("migrate", uri=f"exec:cat >/proc/{os.getpid()}/fd/{self._state}")
            monitor.wait_for_migration()

    @contextmanager
    def _guest(self, share: str, *more: str, fds: Sequence[int] = ()) -> Iterator[tuple[Guest, Monitor]]:
        memory = f"memory-backend-file,id=ram,size={self._size},mem-path=/proc/self/fd/{self._memory},share={share}"
        ours, theirs = socket.socketpair()
        with ours, ExitStack() as passed:
            passed.callback(theirs.close)
            options = ["-object", memory, *self._ram, *self._options, *more]
            options += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
            with Guest(
                self._kernel,
                self._initrds,
                memory=self._size,
                append=self._append,
                command_line=self._command_line,
                options=options,
                fds=[self._memory, theirs.fileno(), *fds],
            ) as guest:
                passed.close()
                try:
                    monitor = Monitor(ours)
                    ignore_shared = {"capability": "x-ignore-shared", "state": True}
                    monitor.ask("migrate-set-capabilities", capabilities=[ignore_shared])
                    yield guest, monitor
                except MonitorError as error:
                    raise GuestError(str(error), guest.last_words()) from None

    def _file(self, name: str) -> int:
        file = new_file(name)
        self._held.callback(os.close, file)
        return file
