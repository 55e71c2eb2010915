"""What a service calls: `preserve` and `retrieve`, by way of the agent, or of systemd's file descriptor store."""

from __future__ import annotations

import os

from warmboot.liveupdate import systemd
from warmboot.liveupdate.problems import ColdStartError, LiveUpdateError
from warmboot.liveupdate.wire import SOCKET, connect, is_name

__all__ = ["answered", "forget", "preserve", "retrieve"]


def preserve(name: str, fd: int, *, socket: str = SOCKET) -> None:
    """Have the file in `fd`, a memfd, live through the next switch under `name`, as SERVICE or SERVICE/FILE.

    The agent keeps a descriptor of it until `forget`; the same name again takes the place of the old. Call it again
    after a change of file, not of contents: what is written until the jump arrives. Where there is no agent, systemd's
    file descriptor store is used if the service has one (FileDescriptorStoreMax=; with FileDescriptorStorePreserve=yes
    systemd 261 hands it to the next kernel). Raises LiveUpdateError.
    """
    _checked(name)
    try:
        _told(f"preserve {name}", socket, (fd,))
    except LiveUpdateError:
        if not systemd.has_store():
            raise
        systemd.store(name, fd)


def retrieve(name: str, *, socket: str = SOCKET) -> int:
    """A new descriptor of the file that was preserved under `name`, by the kernel before or by this service before it
    was started again.

    Raises ColdStartError where there is none; it says why.
    """
    _checked(name)
    stored = systemd.stored(name)
    if stored is not None:
        return stored
    try:
        with connect(socket) as agent:
            answer, fds = agent.ask(f"retrieve {name}")
    except LiveUpdateError as error:
        raise ColdStartError(str(error), hint=error.hint) from None
    word, _, text = answer.partition(" ")
    if word == "ok" and len(fds) == 1:
        return fds[0]
    for each in fds:
        os.close(each)
    raise ColdStartError(text or "the agent gave no descriptor", hint="warmboot switch --report")


def forget(name: str, *, socket: str = SOCKET) -> None:
    """Preserve it no longer. Raises LiveUpdateError."""
    _checked(name)
    _told(f"forget {name}", socket)


def answered(name: str, last_before: int, first_after: int, *, socket: str = SOCKET) -> None:
    """Tell for the report when clients of the service were answered last before the jump and first after it.

    Both are nanoseconds of CLOCK_REALTIME, as time.time_ns() has them. Raises LiveUpdateError.
    """
    _checked(name)
    _told(f"answered {name} {int(last_before)} {int(first_after)}", socket)


def _told(message: str, socket: str, fds: tuple[int, ...] = ()) -> None:
    with connect(socket) as agent:
        answer, beside = agent.ask(message, fds)
    for each in beside:
        os.close(each)
    word, _, text = answer.partition(" ")
    if word != "ok":
        raise LiveUpdateError(text or "the agent refuses", hint="warmboot switch --report")


def _checked(name: str) -> None:
    if not is_name(name):
        raise ValueError(f"{name!r}: a name is SERVICE or SERVICE/FILE, at most 48 of letters, digits and ._-@+\\")
