"""A service that wants to know of a switch, and to hand its files over again where the agent was started again."""

from __future__ import annotations

import _thread
import time

from warmboot.liveupdate.client import preserve
from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.liveupdate.wire import SOCKET, Channel, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["watch"]

_PAUSE = 1.0  # seconds between attempts to find the agent again


def watch(files: Mapping[str, int], told: Callable[[str], None] | None = None, *, socket: str = SOCKET) -> None:
    """Preserve `files`, descriptors by name, and keep at it in a thread: whenever the agent is there again.

    `told` is called in that thread with "freeze" before the jump (what it does has the switch's --tell-timeout) and
    with "thaw" where the switch was called off. The mapping may be changed; what it has when the agent comes back is
    handed over then. Raises LiveUpdateError where the agent is not there now.
    """
    channel = _joined(files, socket)
    _thread.start_new_thread(_watched, (channel, files, told, socket))


def _joined(files: Mapping[str, int], socket: str) -> Channel:
    for name, fd in [*files.items()]:
        preserve(name, fd, socket=socket)
    channel = connect(socket)
    try:
        channel.ask("watch")
    except LiveUpdateError:
        channel.close()
        raise
    channel.socket.settimeout(None)
    return channel


def _watched(
    channel: Channel | None, files: Mapping[str, int], told: Callable[[str], None] | None, socket: str
) -> None:
    while True:
        if channel is None:
            time.sleep(_PAUSE)
            try:
                channel = _joined(files, socket)
            except LiveUpdateError:
                continue
        try:
            text, _ = channel.receive()
            if text and told is not None:
                told(text)
            if text:
                channel.send("done")
        except OSError:
            text = ""
        if not text:
            channel.close()
            channel = None
