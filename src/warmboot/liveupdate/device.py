"""/dev/liveupdate and its sessions (Documentation/userspace-api/liveupdate.rst, Linux 6.19).

One program at a time may have the device open; sessions outlive it. A session that is closed before the jump gives
back all that is in it; one that is closed after it was retrieved is finished.
"""

from __future__ import annotations

import fcntl
import os

from warmboot.closing import Closing
from warmboot.liveupdate.problems import refused
from warmboot.uapi.liveupdate import (
    DEVICE,
    LIVEUPDATE_IOCTL_CREATE_SESSION,
    LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
    LIVEUPDATE_SESSION_FINISH,
    LIVEUPDATE_SESSION_PRESERVE_FD,
    LIVEUPDATE_SESSION_RETRIEVE_FD,
    Finish,
    SessionFile,
    SessionName,
)

__all__ = ["LiveUpdate", "Session"]


class Session(Closing):
    """A session of files; `fd` is its descriptor."""

    def __init__(self, name: str, fd: int) -> None:
        self.name: str = name
        self.fd: int = fd

    def preserve(self, token: int, fd: int) -> None:
        """Have the file in `fd` handed over as `token`: from now on its size stays as it is, and its holes are filled.

        What is written to it until the jump is handed over too. Raises LiveUpdateError.
        """
        try:
            fcntl.ioctl(self.fd, LIVEUPDATE_SESSION_PRESERVE_FD, SessionFile(token, fd).pack())
        except OSError as error:
            raise refused("preserve", error) from None

    def retrieve(self, token: int) -> int:
        """A descriptor of the file that was preserved as `token`; again gives the same file. Raises LiveUpdateError."""
        buffer = bytearray(SessionFile(token).pack())
        try:
            fcntl.ioctl(self.fd, LIVEUPDATE_SESSION_RETRIEVE_FD, buffer)
        except OSError as error:
            raise refused("retrieve", error) from None
        return SessionFile.unpack(buffer).fd

    def finish(self) -> None:
        """End a retrieved session: what was not retrieved is freed. Raises LiveUpdateError."""
        try:
            fcntl.ioctl(self.fd, LIVEUPDATE_SESSION_FINISH, Finish().pack())
        except OSError as error:
            raise refused("finish", error) from None

    def close(self) -> None:
        """Give everything back, or finish a retrieved session."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class LiveUpdate(Closing):
    """The open device. Raises LiveUpdateError where it cannot be opened."""

    def __init__(self, path: str = DEVICE) -> None:
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise refused("open", error) from None

    def create(self, name: str) -> Session:
        """A new session, for the next kernel. Raises LiveUpdateError."""
        return self._session("create", LIVEUPDATE_IOCTL_CREATE_SESSION, name)

    def retrieve(self, name: str) -> Session:
        """A session that the kernel before handed over. Raises LiveUpdateError."""
        return self._session("retrieve session", LIVEUPDATE_IOCTL_RETRIEVE_SESSION, name)

    def close(self) -> None:
        """Close the device; sessions stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _session(self, what: str, request: int, name: str) -> Session:
        buffer = bytearray(SessionName(name.encode()[:64]).pack())
        try:
            fcntl.ioctl(self._fd, request, buffer)
        except OSError as error:
            raise refused(what, error) from None
        return Session(name, SessionName.unpack(buffer).fd)
