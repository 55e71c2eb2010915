"""The files of a session (kernel/liveupdate/luo_file.c)."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmboot.kernel.fdtable import FdTable
from warmboot.kernel.luo_rules import FILE_TOKEN, FILE_TWICE, FILES_FULL, NO_HANDLER, TOKEN_EXISTS
from warmboot.kernel.memfd_luo import MemfdHandler, MemfdSer
from warmboot.kernel.rules import KexecError
from warmboot.kernel.shmem import ShmemFile, ShmemInode
from warmboot.uapi import PAGE_SIZE

__all__ = ["Files", "LuoFile", "LuoFileSer", "LuoFileSet", "count_per_block"]

_HEADER = 16  # bytes: struct kho_block_header_ser
_KHO_MAX_BLOCKS = 10000
_FILE_SER = 64  # bytes: struct luo_file_ser


def count_per_block(entry_size: int) -> int:
    """How many entries of that many bytes a block of one page holds."""
    return (PAGE_SIZE - _HEADER) // entry_size


@dataclass(slots=True)
class LuoFileSer:
    """struct luo_file_ser: what the next kernel is told of a file."""

    compatible: str
    token: int
    data: MemfdSer


@dataclass(slots=True)
class LuoFile:
    """struct luo_file. `file` is None in the next kernel until it is retrieved."""

    token: int
    data: MemfdSer
    file: ShmemFile | None = None
    error: KexecError | None = None  # of a retrieval that failed: there is no second one


@dataclass(slots=True)
class LuoFileSet:
    """struct luo_file_set: the files by their tokens, in the order in which they were preserved."""

    files: dict[int, LuoFile] = field(default_factory=dict)


class Files:
    """What luo_file.c keeps for all sessions: the handler, and which files are preserved."""

    def __init__(self, handler: MemfdHandler | None) -> None:
        self.handler = handler
        self._preserved: set[ShmemInode] = set()  # luo_preserved_files

    def preserve(self, file_set: LuoFileSet, token: int, fd: int, fds: FdTable) -> None:
        """luo_preserve_file. Raises KexecError."""
        if token in file_set.files:
            raise TOKEN_EXISTS.refuse(f"the session has a file of token {token:#x}", addresses=(token,))
        most = _KHO_MAX_BLOCKS * count_per_block(_FILE_SER)
        if len(file_set.files) >= most:
            raise FILES_FULL.refuse(f"the session has {most} files, and no more can be told of")
        file = fds.get(fd)
        if self.handler is None or not isinstance(file, ShmemFile) or not self.handler.can_preserve(file):
            raise NO_HANDLER.refuse(f"descriptor {fd} is of no file that can be preserved", addresses=(fd,))
        if file.inode in self._preserved:
            raise FILE_TWICE.refuse(f"the file of descriptor {fd} is preserved already", addresses=(fd,))
        data = self.handler.preserve(file)
        self._preserved.add(file.inode)
        file.get()
        file_set.files[token] = LuoFile(token, data, file)

    def unpreserve_all(self, file_set: LuoFileSet) -> None:
        """luo_file_unpreserve_files: the session was closed before the reboot."""
        while file_set.files:
            _, each = file_set.files.popitem()
            assert each.file is not None
            assert self.handler is not None
            self.handler.unpreserve(each.file)
            self._preserved.discard(each.file.inode)
            each.file.put()

    def freeze(self, file_set: LuoFileSet) -> list[LuoFileSer]:
        """luo_file_freeze: the reboot has begun; what is told to the next kernel."""
        told = []
        for each in file_set.files.values():
            assert each.file is not None
            assert self.handler is not None
            self.handler.freeze(each.file, each.data)
            told.append(LuoFileSer(self.handler.compatible, each.token, each.data))
        return told

    def deserialize(self, told: list[LuoFileSer]) -> LuoFileSet:
        """luo_file_deserialize: what the kernel before told of. Raises KexecError where no handler takes one."""
        for each in told:
            if self.handler is None or self.handler.compatible != each.compatible:
                raise NO_HANDLER.refuse(f"no handler here is compatible with '{each.compatible}'")
        return LuoFileSet({each.token: LuoFile(each.token, each.data) for each in told})

    def retrieve(self, file_set: LuoFileSet, token: int) -> ShmemFile:
        """luo_retrieve_file: the file of that token, with one more reference. Raises KexecError."""
        found = file_set.files.get(token)
        if found is None:
            raise FILE_TOKEN.refuse(f"the session has no file of token {token:#x}", addresses=(token,))
        if found.error is not None:
            raise found.error
        if found.file is None:
            assert self.handler is not None
            try:
                found.file = self.handler.retrieve(found.data)
            except KexecError as error:
                found.error = error
                raise
            self._preserved.add(found.file.inode)
        found.file.get()
        return found.file

    def finish(self, file_set: LuoFileSet) -> None:
        """luo_file_finish: what was not retrieved is given up, and the rest belongs to whoever has it open."""
        while file_set.files:
            _, each = file_set.files.popitem()
            if each.file is not None:
                self._preserved.discard(each.file.inode)
                each.file.put()
