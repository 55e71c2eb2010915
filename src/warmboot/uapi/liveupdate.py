"""/dev/liveupdate: numbers and structures of include/uapi/linux/liveupdate.h, as of Linux 7.2 (the first is 6.19).

Plain numbers, as making enums of them costs time at a start. Each structure packs to the bytes that the ioctl takes and
is read again from the same buffer, into which the kernel writes. `size` is the structure's own unless it is given: the
kernel takes a larger one whose rest is zero, and nothing smaller.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = [
    "DEVICE",
    "LIVEUPDATE_CMD_BASE",
    "LIVEUPDATE_CMD_SESSION_BASE",
    "LIVEUPDATE_IOCTL_CREATE_SESSION",
    "LIVEUPDATE_IOCTL_RETRIEVE_SESSION",
    "LIVEUPDATE_IOCTL_TYPE",
    "LIVEUPDATE_SESSION_FINISH",
    "LIVEUPDATE_SESSION_GET_NAME",
    "LIVEUPDATE_SESSION_NAME_LENGTH",
    "LIVEUPDATE_SESSION_PRESERVE_FD",
    "LIVEUPDATE_SESSION_RETRIEVE_FD",
    "SESSION_FILE",
    "Finish",
    "GetName",
    "SessionFile",
    "SessionName",
]

DEVICE = "/dev/liveupdate"
SESSION_FILE = "anon_inode:[luo_session] "  # what /proc/PID/fd/N of a session begins with; its name follows

LIVEUPDATE_IOCTL_TYPE = 0xBA
LIVEUPDATE_SESSION_NAME_LENGTH = 64  # bytes, with the final zero

LIVEUPDATE_CMD_BASE = 0x00
LIVEUPDATE_CMD_SESSION_BASE = 0x40

# _IO(type, nr): neither direction nor size is part of these numbers.
_TYPE = LIVEUPDATE_IOCTL_TYPE << 8
# of the device
LIVEUPDATE_IOCTL_CREATE_SESSION = _TYPE | 0x00
LIVEUPDATE_IOCTL_RETRIEVE_SESSION = _TYPE | 0x01
# of a session's descriptor
LIVEUPDATE_SESSION_PRESERVE_FD = _TYPE | 0x40
LIVEUPDATE_SESSION_RETRIEVE_FD = _TYPE | 0x41
LIVEUPDATE_SESSION_FINISH = _TYPE | 0x42
LIVEUPDATE_SESSION_GET_NAME = _TYPE | 0x43

_NAMED = struct.Struct(f"=Ii{LIVEUPDATE_SESSION_NAME_LENGTH}s")
_FILE = struct.Struct("=IiQ")
_FINISH = struct.Struct("=II")
_GET_NAME = struct.Struct(f"=II{LIVEUPDATE_SESSION_NAME_LENGTH}s")


def _cut(name: bytes) -> bytes:
    return name.partition(b"\0")[0]


class SessionName(NamedTuple):
    """struct liveupdate_ioctl_create_session, and _retrieve_session: a session's `name`, without its final zero, for a
    new descriptor, `fd`. A name has 1 to 63 bytes; `pack` takes up to 64, to show what the kernel says to too many."""

    name: bytes
    fd: int = -1
    size: int = _NAMED.size

    def pack(self) -> bytes:
        """72 bytes. Raises ValueError for a name of more than 64 bytes."""
        if len(self.name) > LIVEUPDATE_SESSION_NAME_LENGTH:
            raise ValueError(f"a session's name of {len(self.name)} bytes")
        return _NAMED.pack(self.size, self.fd, self.name)

    @classmethod
    def unpack(cls, data: bytes | bytearray) -> SessionName:
        """From at least 72 bytes; struct.error if there are fewer."""
        size, fd, name = _NAMED.unpack_from(data)
        return cls(_cut(name), fd, size)


class SessionFile(NamedTuple):
    """struct liveupdate_session_preserve_fd, where the caller gives `fd`, and _retrieve_fd, where the kernel does.

    `token` is any number of 64 bits, one to a file in its session: the next kernel's user space asks by it.
    """

    token: int
    fd: int = -1
    size: int = _FILE.size

    def pack(self) -> bytes:
        """16 bytes."""
        return _FILE.pack(self.size, self.fd, self.token)

    @classmethod
    def unpack(cls, data: bytes | bytearray) -> SessionFile:
        """From at least 16 bytes; struct.error if there are fewer."""
        size, fd, token = _FILE.unpack_from(data)
        return cls(token, fd, size)


class Finish(NamedTuple):
    """struct liveupdate_session_finish; `reserved` must be 0."""

    reserved: int = 0
    size: int = _FINISH.size

    def pack(self) -> bytes:
        """8 bytes."""
        return _FINISH.pack(self.size, self.reserved)


class GetName(NamedTuple):
    """struct liveupdate_session_get_name: the kernel writes the whole `name`, of which /proc may show a part."""

    name: bytes = b""
    reserved: int = 0
    size: int = _GET_NAME.size

    def pack(self) -> bytes:
        """72 bytes."""
        return _GET_NAME.pack(self.size, self.reserved, self.name)

    @classmethod
    def unpack(cls, data: bytes | bytearray) -> GetName:
        """From at least 72 bytes; struct.error if there are fewer."""
        size, reserved, name = _GET_NAME.unpack_from(data)
        return cls(_cut(name), reserved, size)
