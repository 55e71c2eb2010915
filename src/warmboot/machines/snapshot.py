"""A guest that has booted once, and copies of it that go on from there: a boot takes seconds, a copy a fraction of one.

The guest's memory is a file without a name that QEMU maps shared while it boots; the copies map it privately. What
else QEMU knows of the machine goes through a second file, by migration; its x-ignore-shared leaves the memory out.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from warmboot.files.anonymous import new_file
from warmboot.machines.guest import Guest, GuestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Snapshot"]

_MOST_WORDS = 1000  # lines before `ready`: the agent tells of some ten files
_POLL = 0.02  # seconds between looks at a migration
_PATIENCE = 60.0  # seconds until QEMU must have answered or migrated


class Snapshot:
    """`kernel` with `initrds`, booted until its agent said `ready`; `words` are the lines before. A context manager.

    Raises GuestError where it does not come so far in `timeout` silent seconds.
    """

    def __init__(
        self, kernel: Path, initrds: Sequence[bytes], *, memory: int, append: str = "", timeout: float = 60.0
    ) -> None:
        self._kernel, self._initrds, self._append, self._size = kernel, list(initrds), append, memory
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @contextmanager
    def copy(self) -> Iterator[Guest]:
        """A guest that goes on from `ready`; the next copy knows nothing of it."""
        with self._guest("off", "-incoming", "defer") as (guest, monitor):
            monitor.ask("migrate-incoming", uri=f"exec:cat </proc/{os.getpid()}/fd/{self._state}")
            monitor.wait_for_migration()
            yield guest

    def _boot(self, timeout: float) -> None:
        with self._guest("on") as (guest, monitor):
            for line in guest.lines(timeout):
                if line == "ready":
                    break
                self.words.append(line)
                if len(self.words) > _MOST_WORDS:
                    raise GuestError(f"{self._kernel.name}: the guest speaks, and is never ready", guest.last_words())
            else:
                raise GuestError(f"{self._kernel.name}: the guest ended before it was ready", guest.last_words())
            monitor.ask("migrate", uri=f"exec:cat >/proc/{os.getpid()}/fd/{self._state}")
            monitor.wait_for_migration()

    @contextmanager
    def _guest(self, share: str, *more: str) -> Iterator[tuple[Guest, _Monitor]]:
        memory = f"memory-backend-file,id=ram,size={self._size},mem-path=/proc/self/fd/{self._memory},share={share}"
        ours, theirs = socket.socketpair()
        with ours, ExitStack() as passed:
            passed.callback(theirs.close)
            options = ["-object", memory, "-machine", "memory-backend=ram", *more]
            options += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
            with Guest(
                self._kernel,
                self._initrds,
                memory=self._size,
                append=self._append,
                options=options,
                fds=[self._memory, theirs.fileno()],
            ) as guest:
                passed.close()
                monitor = _Monitor(ours, guest)
                monitor.ask("qmp_capabilities")
                ignore_shared = {"capability": "x-ignore-shared", "state": True}
                monitor.ask("migrate-set-capabilities", capabilities=[ignore_shared])
                yield guest, monitor

    def _file(self, name: str) -> int:
        file = new_file(name)
        self._held.callback(os.close, file)
        return file


class _Monitor:
    """QMP, one command at a time."""

    def __init__(self, channel: socket.socket, guest: Guest) -> None:
        channel.settimeout(_PATIENCE)
        self._channel, self._guest = channel, guest
        self._stream = channel.makefile("r", encoding="utf-8")

    def ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """What QEMU returns. Raises GuestError where it refuses, is silent or gone."""
        try:
            self._channel.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
            for line in self._stream:
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise self._failed(f"QEMU refuses {command}: {answer['error']['desc']}")
        except OSError as error:
            raise self._failed(f"QEMU does not answer {command}: {error}") from None
        raise self._failed(f"QEMU has ended before {command}")

    def wait_for_migration(self) -> None:
        """Until it is complete. Raises GuestError where it fails."""
        deadline = time.monotonic() + _PATIENCE
        while (found := self.ask("query-migrate").get("status")) != "completed":
            if found == "failed" or time.monotonic() > deadline:
                raise self._failed(f"the guest cannot be copied: its migration is {found}")
            time.sleep(_POLL)

    def _failed(self, message: str) -> GuestError:
        return GuestError(message, self._guest.last_words())
