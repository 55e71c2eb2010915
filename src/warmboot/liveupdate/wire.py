"""What services, `warmboot switch` and the agent say to each other: a datagram of text, and descriptors beside it.

The socket is SOCK_SEQPACKET, so that each message is whole. A message is words with blanks between them; the last may
be a sentence. Made of _socket, as socket's enums cost a service tens of milliseconds at its start.
"""

from __future__ import annotations

import _socket
import array
import os
import time

from warmboot.closing import Closing
from warmboot.liveupdate.problems import LiveUpdateError

__all__ = ["LARGEST", "LONGEST_NAME", "SOCKET", "Channel", "connect", "is_name"]

SOCKET = "/run/warmboot/liveupdate.socket"
LARGEST = 32768  # bytes of a message: 256 names with what is known of them
LONGEST_NAME = 48  # bytes: a session's name has 63, and ours begin with "warmboot/"
_MOST_FDS = 4  # of one message
_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@\\+")


def is_name(name: str) -> bool:
    """Whether a file may have that name: a service's, or SERVICE/FILE, of letters, digits and
    ._-@+\\, not beginning with a full stop."""
    parts = name.split("/")
    return (
        len(name) <= LONGEST_NAME
        and len(parts) <= 2
        and all(each[:1] not in ("", ".") and set(each) <= _NAME for each in parts)
    )


class Channel(Closing):
    """One end of a connection."""

    def __init__(self, socket: _socket.socket) -> None:
        self.socket = socket

    def fileno(self) -> int:
        """The descriptor, for poll."""
        return self.socket.fileno()

    def send(self, text: str, fds: tuple[int, ...] = ()) -> None:
        """Send one message. Raises OSError."""
        beside = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
        self.socket.sendmsg([text.encode()[:LARGEST]], beside, _socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[str, tuple[int, ...]]:
        """One message and its descriptors, the caller's to close; an empty text is the end. Raises OSError."""
        size = array.array("i").itemsize
        data, beside, _, _ = self.socket.recvmsg(
            LARGEST, _socket.CMSG_SPACE(_MOST_FDS * size), _socket.MSG_CMSG_CLOEXEC
        )
        found = array.array("i")
        for level, kind, content in beside:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                found.frombytes(content[: len(content) - len(content) % size])
        return data.decode("utf-8", "replace"), tuple(found)

    def ask(self, text: str, fds: tuple[int, ...] = ()) -> tuple[str, tuple[int, ...]]:
        """Send, and receive the answer. Raises LiveUpdateError where nobody answers."""
        try:
            self.send(text, fds)
            answer, beside = self.receive()
        except OSError as error:
            raise _no_agent(str(error.strerror)) from None
        if not answer:
            for each in beside:
                os.close(each)
            raise _no_agent("it has ended")
        return answer, beside

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


def connect(path: str = SOCKET, timeout: float = 60.0) -> Channel:
    """A connection to the agent; no message takes longer than `timeout` seconds. Raises LiveUpdateError."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    socket.settimeout(timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.connect(path)
        except BlockingIOError:  # very many are waiting to be let in
            if time.monotonic() > deadline:
                socket.close()
                raise _no_agent("it is busy") from None
            time.sleep(0.01)
        except OSError as error:
            socket.close()
            raise _no_agent(error.strerror or str(error)) from None
        else:
            return Channel(socket)


def _no_agent(why: str) -> LiveUpdateError:
    return LiveUpdateError(
        f"the agent of live updates does not answer: {why}",
        hint="start it: systemctl start warmboot-switch, or 'warmboot switch --resume &'",
    )
