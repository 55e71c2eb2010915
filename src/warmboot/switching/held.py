"""What the agent holds: a descriptor of each file that a service has handed over, by name."""

from __future__ import annotations

import os
import stat

from warmboot.liveupdate.wire import is_name
from warmboot.numbers import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MOST", "Entry", "Held", "HeldError", "unit_of"]

MOST = 256  # names, of all services
_MOST_OF_USER = 16  # names of a user that is not root


class HeldError(Exception):
    """What is asked for is refused; the message says why."""


class Entry:
    """One file: its owner, and where it came from. `size` is in bytes."""

    __slots__ = ("fd", "handed_over", "name", "pid", "uid")

    def __init__(self, name: str, fd: int, uid: int, pid: int = 0, *, handed_over: bool = False) -> None:
        self.name: str = name
        self.fd: int = fd
        self.uid: int = uid
        self.pid: int = pid
        self.handed_over: bool = handed_over  # by the kernel before

    @property
    def size(self) -> int:
        """Bytes, as it is now."""
        return os.fstat(self.fd).st_size

    @property
    def service(self) -> str:
        """The part of the name that says whose it is."""
        return self.name.partition("/")[0]


class Held:
    """Entries by name. Descriptors that are put here are closed by it."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter([*self._entries.values()])

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """Hold it, in place of an older one. Raises HeldError, and closes the descriptor, where it may not be."""
        try:
            self._check(entry)
        except HeldError:
            os.close(entry.fd)
            raise
        old = self._entries.get(entry.name)
        if old is not None:
            os.close(old.fd)
        self._entries[entry.name] = entry

    def get(self, name: str, uid: int) -> Entry | None:
        """The entry of that name, None where there is none. Raises HeldError for somebody else's."""
        entry = self._entries.get(name)
        if entry is not None and uid not in (0, entry.uid):
            raise HeldError(f"{name} belongs to another user")
        return entry

    def forget(self, name: str, uid: int) -> None:
        """Let go of it. Raises HeldError for somebody else's."""
        if self.get(name, uid) is not None:
            os.close(self._entries.pop(name).fd)

    def chosen(self, wanted: Iterable[str]) -> list[Entry]:
        """The entries that `wanted` names, as NAME, SERVICE or UNIT; all of them where it names none.

        Raises HeldError for what nobody has handed over.
        """
        names = [*wanted]
        if not names:
            return [*self]
        found: dict[str, Entry] = {}
        for each in names:
            of_this = [entry for entry in self if each in (entry.name, entry.service) or each == unit_of(entry.pid)]
            if not of_this:
                raise HeldError(f"--keep {each}: no service has handed over a file of that name")
            found |= {entry.name: entry for entry in of_this}
        return [*found.values()]

    def _check(self, entry: Entry) -> None:
        if not is_name(entry.name):
            raise HeldError("a name is SERVICE or SERVICE/FILE, at most 48 of letters, digits and ._-@+\\")
        old = self._entries.get(entry.name)
        if old is not None and entry.uid not in (0, old.uid):
            raise HeldError(f"{entry.name} belongs to another user")
        others = [each for each in self if each.name != entry.name]
        if len(others) >= MOST or (entry.uid != 0 and sum(each.uid == entry.uid for each in others) >= _MOST_OF_USER):
            raise HeldError("there are too many names already")
        if not stat.S_ISREG(os.fstat(entry.fd).st_mode):
            raise HeldError("only memfds can be preserved, and this is no regular file")


def unit_of(pid: int) -> str:
    """The systemd unit in whose control group a process is, or "" where none is known."""
    if not pid:
        return ""
    try:
        fd = os.open(f"/proc/{number(str(pid))}/cgroup", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.read(fd, 4096).decode("utf-8", "replace")
    finally:
        os.close(fd)
    for line in text.splitlines():
        parts = [each for each in line.split("/") if each.endswith((".service", ".scope"))]
        if parts:
            return parts[-1]
    return ""
