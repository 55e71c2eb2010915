"""Sessions: files that go to the next kernel together (kernel/liveupdate/luo_session.c)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from warmboot.kernel.fdtable import FdTable, File
from warmboot.kernel.luo_file import Files, LuoFileSer, LuoFileSet, count_per_block
from warmboot.kernel.luo_ioctl import Op, UserMemory, check_number, copy_in, op_of, respond, user_size
from warmboot.kernel.luo_rules import (
    RESERVED,
    SESSION_EXISTS,
    SESSION_KIND,
    SESSION_NAME,
    SESSION_RETRIEVED,
    SESSION_UNKNOWN,
    SESSIONS_FULL,
)
from warmboot.kernel.rules import KexecError
from warmboot.uapi import liveupdate as uapi

__all__ = ["LuoSession", "LuoSessionSer", "SessionHandle", "Sessions"]

_KHO_MAX_BLOCKS = 10000
_SESSION_SER = 80  # bytes: struct luo_session_ser
_WORD = 8  # bytes
_NAME = uapi.LIVEUPDATE_SESSION_NAME_LENGTH

_PRESERVE = Op("PRESERVE_FD", uapi.LIVEUPDATE_SESSION_PRESERVE_FD, 16, 16)
_RETRIEVE = Op("RETRIEVE_FD", uapi.LIVEUPDATE_SESSION_RETRIEVE_FD, 16, 16)
_FINISH = Op("FINISH", uapi.LIVEUPDATE_SESSION_FINISH, 8, 8)
_GET_NAME = Op("GET_NAME", uapi.LIVEUPDATE_SESSION_GET_NAME, 8 + _NAME, 8 + _NAME)
_OPS = (_PRESERVE, _RETRIEVE, _FINISH, _GET_NAME)
_OUTGOING, _INCOMING = (_PRESERVE,), (_RETRIEVE, _FINISH)


@dataclass(slots=True)
class LuoSession:
    """struct luo_session; `retrieved` is true of one that came from the kernel before and was asked for."""

    name: bytes
    retrieved: bool = False
    file_set: LuoFileSet = field(default_factory=LuoFileSet)


@dataclass(frozen=True, slots=True)
class LuoSessionSer:
    """struct luo_session_ser: what the next kernel is told of a session."""

    name: bytes
    files: list[LuoFileSer]


class Sessions:
    """Those of this kernel, `outgoing`, and those of the one before, `incoming`."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.outgoing: dict[bytes, LuoSession] = {}
        self.incoming: dict[bytes, LuoSession] = {}

    def create(self, name: bytes) -> SessionHandle:
        """luo_session_create: `name` are the structure's 64 bytes. Raises KexecError."""
        shown, zero, _ = name.partition(b"\0")
        if not shown or not zero:
            raise SESSION_NAME.refuse(f"a session's name of {len(shown)} bytes or more: it has 1 to {_NAME - 1}")
        most = _KHO_MAX_BLOCKS * count_per_block(_SESSION_SER)
        if len(self.outgoing) >= most:
            raise SESSIONS_FULL.refuse(f"there are {most} sessions, and no more can be told of")
        if shown in self.outgoing:
            raise SESSION_EXISTS.refuse(f"there is a session of the name {shown!r}")
        session = self.outgoing[shown] = LuoSession(shown)
        return SessionHandle(self, session)

    def retrieve(self, name: bytes) -> SessionHandle:
        """luo_session_retrieve. Raises KexecError."""
        shown = name.partition(b"\0")[0]
        session = self.incoming.get(shown)
        if session is None:
            raise SESSION_UNKNOWN.refuse(f"the kernel before left no session of the name {shown!r}")
        if session.retrieved:
            raise SESSION_RETRIEVED.refuse(f"session {shown!r} is retrieved already")
        session.retrieved = True
        return SessionHandle(self, session)

    def release(self, session: LuoSession) -> None:
        """luo_session_release: the last descriptor is closed."""
        if session.retrieved:
            self.files.finish(session.file_set)
            del self.incoming[session.name]
        else:
            self.files.unpreserve_all(session.file_set)
            del self.outgoing[session.name]

    def serialize(self) -> list[LuoSessionSer]:
        """luo_session_serialize: the reboot has begun, and nothing changes any more."""
        return [LuoSessionSer(each.name, self.files.freeze(each.file_set)) for each in self.outgoing.values()]

    def deserialize(self, told: list[LuoSessionSer]) -> None:
        """luo_session_deserialize. Raises KexecError; what came before that stays."""
        for each in told:
            session = self.incoming[each.name] = LuoSession(each.name)
            session.file_set = self.files.deserialize(each.files)


class SessionHandle(File):
    """The open file that stands for a session."""

    def __init__(self, sessions: Sessions, session: LuoSession) -> None:
        super().__init__()
        self._sessions = sessions
        self.session = session

    def release(self) -> None:
        """The session ends with it."""
        self._sessions.release(self.session)

    def ioctl(self, command: int, memory: UserMemory, fds: FdTable) -> None:
        """luo_session_ioctl. Raises KexecError."""
        op = op_of(command, uapi.LIVEUPDATE_CMD_SESSION_BASE, _OPS)
        size = user_size(memory)
        check_number(command, op)
        retrieved = self.session.retrieved
        if op in (_OUTGOING if retrieved else _INCOMING):
            came = "was retrieved from the kernel before" if retrieved else "is of this kernel"
            raise SESSION_KIND.refuse(f"{op.name}: session {self.session.name!r} {came}")
        data = copy_in(memory, op)
        if op is _PRESERVE:
            _, fd, token = struct.unpack("=IiQ", data)
            self._sessions.files.preserve(self.session.file_set, token, fd, fds)
            respond(memory, data, size)
        elif op is _RETRIEVE:
            self._retrieve(data, size, memory, fds)
        else:
            [reserved] = struct.unpack_from("=I", data, 4)
            if reserved:
                raise RESERVED.refuse(f"{op.name}: its reserved field is {reserved:#x}", addresses=(reserved,))
            if op is _FINISH:
                self._sessions.files.finish(self.session.file_set)
            else:
                # strscpy writes the word in which the name ends to its end, and what is behind it stays
                name = self.session.name.ljust(len(self.session.name) // _WORD * _WORD + _WORD, b"\0")
                data = data[:8] + name + data[8 + len(name) :]
            respond(memory, data, size)

    def _retrieve(self, data: bytes, size: int, memory: UserMemory, fds: FdTable) -> None:
        """luo_session_retrieve_fd."""
        _, _, token = struct.unpack("=IiQ", data)
        fd = fds.get_unused_fd()
        file = self._sessions.files.retrieve(self.session.file_set, token)
        try:
            respond(memory, struct.pack("=IiQ", size, fd, token), size)
        except KexecError:
            file.put()
            raise
        fds.install(fd, file)
