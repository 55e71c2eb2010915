"""The live update orchestrator (kernel/liveupdate/luo_core.c): /dev/liveupdate, and what the next kernel is told.

KHO carries it: without kho=on, or without liveupdate=on, there is no device.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from warmboot.kernel.fdtable import FdTable, File
from warmboot.kernel.luo_file import Files
from warmboot.kernel.luo_ioctl import Op, UserMemory, check_number, copy_in, op_of, respond, user_size
from warmboot.kernel.luo_rules import DESERIALIZED, IN_USE, NO_DEVICE
from warmboot.kernel.luo_session import LuoSessionSer, Sessions
from warmboot.kernel.memfd_luo import MemfdHandler
from warmboot.kernel.rules import KexecError
from warmboot.memmap import Facts
from warmboot.uapi import liveupdate as uapi

__all__ = ["LUO_ABI_COMPATIBLE", "LiveUpdate", "LiveUpdateDevice", "LuoSer", "liveupdate_enabled"]

LUO_ABI_COMPATIBLE = "luo-v5"

_SIZE = 8 + uapi.LIVEUPDATE_SESSION_NAME_LENGTH
_CREATE = Op("CREATE_SESSION", uapi.LIVEUPDATE_IOCTL_CREATE_SESSION, _SIZE, _SIZE)
_RETRIEVE = Op("RETRIEVE_SESSION", uapi.LIVEUPDATE_IOCTL_RETRIEVE_SESSION, _SIZE, _SIZE)
_OPS = (_CREATE, _RETRIEVE)


@dataclass(frozen=True, slots=True)
class LuoSer:
    """struct luo_ser: what the next kernel finds under the name LUO."""

    compatible: str = LUO_ABI_COMPATIBLE
    liveupdate_num: int = 1
    sessions: list[LuoSessionSer] = field(default_factory=list)


def liveupdate_enabled(facts: Facts) -> bool:
    """Whether the kernel was told to: the last kho= and liveupdate= of its command line decide."""
    told = dict(word.partition("=")[::2] for word in facts.cmdline.split())
    config = facts.kernel_config or {}
    built = all(config.get(name, "y") == "y" for name in ("CONFIG_KEXEC_HANDOVER", "CONFIG_LIVEUPDATE"))
    return built and all(_is_on(told.get(name, "")) for name in ("kho", "liveupdate"))


def _is_on(value: str) -> bool:
    """As kstrtobool looks at it: the first character, or two where the first is o."""
    return value[:1] in tuple("yYtT1") or value[:2].lower() == "on"


class LiveUpdate:
    """What luo_core.c and its neighbours keep. `incoming` is what the kernel before left; `memfd` tells whether
    CONFIG_LIVEUPDATE_MEMFD is there."""

    def __init__(
        self, totalram_pages: int, *, enabled: bool = True, memfd: bool = True, incoming: LuoSer | None = None
    ) -> None:
        self.enabled = enabled
        self.sessions: Sessions = Sessions(Files(MemfdHandler(totalram_pages) if memfd else None))
        self._incoming = incoming
        self._deserialized = False
        self._error: KexecError | None = None
        self.in_use: bool = False

    def open(self) -> LiveUpdateDevice:
        """luo_open: one at a time; the first reads what the kernel before left. Raises KexecError."""
        if not self.enabled:
            raise NO_DEVICE.refuse("there is no /dev/liveupdate")
        if self.in_use:
            raise IN_USE.refuse("/dev/liveupdate is open already")
        self._deserialize()
        if self._error is not None:
            raise DESERIALIZED.refuse(f"what the kernel before left cannot be read: {self._error}")
        return LiveUpdateDevice(self)

    def _deserialize(self) -> None:
        if self._deserialized:
            return
        self._deserialized = True
        try:
            self.sessions.deserialize(self._incoming.sessions if self._incoming else [])
        except KexecError as error:
            self._error = error

    def reboot(self) -> LuoSer | None:
        """liveupdate_reboot, once a kexec has begun: what the next kernel is given."""
        if not self.enabled:
            return None
        number = self._incoming.liveupdate_num if self._incoming else 0
        return LuoSer(liveupdate_num=number + 1, sessions=self.sessions.serialize())


class LiveUpdateDevice(File):
    """The open device."""

    def __init__(self, live_update: LiveUpdate) -> None:
        super().__init__()
        self._live_update = live_update
        live_update.in_use = True

    def release(self) -> None:
        """The next may open it."""
        self._live_update.in_use = False

    def ioctl(self, command: int, memory: UserMemory, fds: FdTable) -> None:
        """luo_ioctl. Raises KexecError."""
        op = op_of(command, uapi.LIVEUPDATE_CMD_BASE, _OPS)
        size = user_size(memory)
        check_number(command, op)
        data = copy_in(memory, op)
        sessions = self._live_update.sessions
        fd = fds.get_unused_fd()
        name = data[8:]
        handle = sessions.create(name) if op is _CREATE else sessions.retrieve(name)
        try:
            respond(memory, struct.pack("=Ii", size, fd) + name, size)
        except KexecError:
            handle.put()
            raise
        fds.install(fd, handle)
