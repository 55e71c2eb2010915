"""systemd's file descriptor store, by its protocol (sd_notify(3), sd_listen_fds(3)); no library is needed for it."""

from __future__ import annotations

import _socket
import array
import os

from warmboot.liveupdate.problems import LiveUpdateError
from warmboot.numbers import number

__all__ = ["has_store", "notify", "store", "stored"]

_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 1024  # descriptors


def has_store() -> bool:
    """Whether this process is a service with a store (FDSTORE= is set since systemd 254)."""
    return "NOTIFY_SOCKET" in os.environ and (number(os.environ.get("FDSTORE", "0")) or 0) > 0


def store(name: str, fd: int) -> None:
    """Put a descriptor into the store. Raises LiveUpdateError."""
    try:
        notify(f"FDSTOREREMOVE=1\nFDNAME={name}")
        notify(f"FDSTORE=1\nFDNAME={name}", (fd,))
    except OSError as error:
        raise LiveUpdateError(
            f"systemd takes no descriptor: {error.strerror}", hint="FileDescriptorStoreMax= in the service's unit"
        ) from None


def stored(name: str) -> int | None:
    """A new descriptor of what systemd handed this process at its start under that name."""
    if number(os.environ.get("LISTEN_PID", "")) != os.getpid():
        return None
    count = number(os.environ.get("LISTEN_FDS", ""), most=_MOST) or 0
    names = os.environ.get("LISTEN_FDNAMES", "").split(":", _MOST)
    for place, each in enumerate(names[:count]):
        if each == name:
            return os.dup(_FIRST + place)
    return None


def notify(text: str, fds: tuple[int, ...] = ()) -> bool:
    """Tell systemd; False where nobody listens. Raises OSError."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        beside = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
        socket.sendmsg([text.encode()], beside, 0, "\0" + path[1:] if path[0] == "@" else path)
    finally:
        socket.close()
    return True
