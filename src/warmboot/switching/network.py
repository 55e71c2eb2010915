"""The network as it was before it was taken down for a jump that was then refused: interfaces, and IPv4's routes.

The kernel keeps an interface's IPv4 addresses while it is down, and forgets the routes over it.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import struct

from warmboot.live.files import text
from warmboot.numbers import number

__all__ = ["Interfaces"]

_SIOCADDRT, _SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x890B, 0x8913, 0x8914
_IFF_UP = 0x1
_IFREQ = struct.Struct("16sh22x")  # struct ifreq: ifr_name, ifr_flags
_SOCKADDR_IN = struct.Struct("=HHI8x")
# struct rtentry (linux/route.h): padding, three addresses, rt_flags, padding, rt_metric (one more than it means),
# rt_dev, rt_mtu, rt_window, rt_irtt
_RTENTRY = struct.Struct("@L48sHhLPhPLLH6x")
_MOST = 4096  # routes


class Interfaces:
    """The interfaces that are up now, and the lines of /proc/net/route."""

    def __init__(self) -> None:
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        self._up = [name for _, name in _socket.if_nameindex() if name != "lo" and self._flags(name) & _IFF_UP]
        self._routes = (text("/proc/net/route") or "").splitlines()[1:_MOST]

    def restore(self) -> None:
        """Bring them up again, as far as the kernel lets."""
        for name in self._up:
            try:
                flags = self._flags(name) | _IFF_UP
                fcntl.ioctl(self._socket.fileno(), _SIOCSIFFLAGS, _IFREQ.pack(os.fsencode(name), flags))
            except OSError:
                continue
        try:
            internet = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        except OSError:
            return
        # Those without a gateway first: a gateway is reached by them.
        for line in sorted(self._routes, key=lambda each: each.split()[2:3] != ["00000000"]):
            try:
                fcntl.ioctl(internet.fileno(), _SIOCADDRT, _rtentry(line))
            except (OSError, ValueError):
                continue  # what the kernel made by itself is there already
        internet.close()

    def _flags(self, name: str) -> int:
        try:
            request = fcntl.ioctl(self._socket.fileno(), _SIOCGIFFLAGS, _IFREQ.pack(os.fsencode(name), 0))
        except OSError:
            return 0
        flags: int = _IFREQ.unpack(request)[1]
        return flags


def _rtentry(line: str) -> bytes:
    """struct rtentry of a line; the name of the interface is left out, as its network says it. Raises ValueError."""
    fields = line.split()
    if len(fields) < 8:
        raise ValueError(line)
    target, gateway, flags, mask = (number(fields[each], 16, most=0xFFFF_FFFF) for each in (1, 2, 3, 7))
    metric = number(fields[6], most=0x7FFF)
    if None in (target, gateway, flags, mask, metric):
        raise ValueError(line)
    addresses = b"".join(_SOCKADDR_IN.pack(_socket.AF_INET, 0, each or 0) for each in (target, gateway, mask))
    return _RTENTRY.pack(0, addresses, flags or 0, 0, 0, 0, (metric or 0) + 1, 0, 0, 0, 0)
