"""Taking the network down before another kernel starts: a card that still receives would write into its memory."""

from __future__ import annotations

import _socket  # what `socket` is made of, without the enums, which cost more than all the rest of `kexec -e`
import fcntl
import os
import struct

__all__ = ["interfaces_down"]

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 0x1
_IFREQ = struct.Struct("16sh22x")  # struct ifreq: ifr_name, ifr_flags


def interfaces_down() -> list[tuple[str, OSError]]:
    """Take every network interface down but `lo`; the names of those that stayed up, each with its error.

    Raises OSError where interfaces cannot be listed.
    """
    failed = []
    any_socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)  # of a family that every kernel has
    try:
        for _, name in _socket.if_nameindex():
            try:
                if name != "lo":
                    _down(any_socket.fileno(), name)
            except OSError as error:
                failed.append((name, error))
    finally:
        any_socket.close()
    return failed


def _down(fd: int, name: str) -> None:
    request = fcntl.ioctl(fd, _SIOCGIFFLAGS, _IFREQ.pack(os.fsencode(name), 0))
    _, flags = _IFREQ.unpack(request)
    fcntl.ioctl(fd, _SIOCSIFFLAGS, _IFREQ.pack(os.fsencode(name), flags & ~_IFF_UP))
