"""`warmboot switch`'s side of the agent."""

from __future__ import annotations

import os
from collections.abc import Sequence

from warmboot.closing import Closing
from warmboot.errors import RefusedError
from warmboot.liveupdate.wire import connect
from warmboot.numbers import number
from warmboot.switch_figures import KeepFigures, KeptFile
from warmboot.visible import visible

__all__ = ["AgentLink"]

_SLOW = 600.0  # seconds: filling the holes of large files takes time


class AgentLink(Closing):
    """A connection; a switch that was begun by it is called off when it is closed, unless it was committed.

    Raises RefusedError where no agent answers.
    """

    def __init__(self, socket: str) -> None:
        self._channel = connect(socket, _SLOW)

    def held(self) -> tuple[KeptFile, ...]:
        """What services have handed over. Raises RefusedError."""
        return tuple(filter(None, (_kept(line) for line in self._asked("list").split("\n")[1:])))

    def hand_over(self, name: str, fd: int) -> None:
        """Hand a file over, as services do. Raises RefusedError."""
        self._asked(f"preserve {name}", (fd,))

    def begin(self, identity: str, wanted: Sequence[str], journal: int) -> KeepFigures:
        """Have sessions made with what is `wanted`, all where it is empty. Raises RefusedError."""
        _, size, *names = self._asked(" ".join(["begin", identity, *wanted]), (journal,)).split(" ")
        return KeepFigures(tuple(names), number(size) or 0)

    def tell(self, what: str, seconds: int) -> int:
        """Tell services, and wait until they have answered; how many there are. Raises RefusedError."""
        return number(self._asked(f"tell {what} {seconds}").partition(" ")[2]) or 0

    def commit(self, seconds: int) -> None:
        """Sessions stay when this connection ends, for the jump within `seconds`. Raises RefusedError."""
        self._asked(f"commit {seconds}")

    def abort(self) -> None:
        """Call a switch off. Raises RefusedError."""
        self._asked("abort")

    def report(self) -> str:
        """What the agent knows of the switch by which this kernel was started. Raises RefusedError."""
        return self._asked("report").partition("\n")[2]

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def _asked(self, message: str, fds: tuple[int, ...] = ()) -> str:
        answer, beside = self._channel.ask(message, fds)
        for each in beside:
            os.close(each)
        if answer.split("\n")[0].split(" ")[0] != "ok":
            raise RefusedError(visible(answer.partition(" ")[2]), hint="warmboot switch --list shows what is held")
        return answer


def _kept(line: str) -> KeptFile | None:
    match line.split(" "):
        case [name, size, uid, pid, unit]:
            return KeptFile(
                visible(name),
                number(size) or 0,
                number(uid) or 0,
                number(pid) or 0,
                "" if unit == "-" else visible(unit),
            )
    return None
