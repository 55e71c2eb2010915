"""Calls of files, played on the model: kexec_file_load, and a process that prepares a live update."""

from __future__ import annotations

import errno
from functools import lru_cache

from warmboot.errors import InputError
from warmboot.kernel import Caller, Kernel, KexecError, Rule, rules
from warmboot.kernel.fdtable import FdTable, File
from warmboot.kernel.kexec_core import kimage_free
from warmboot.kernel.luo_core import LiveUpdateDevice
from warmboot.kernel.luo_ioctl import UserMemory
from warmboot.kernel.luo_session import SessionHandle
from warmboot.kernel.shmem import (
    ShmemFile,
    ShmemInode,
    memfd_add_seals,
    memfd_create,
    shmem_truncate,
    shmem_write,
)
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_trace import (
    AREA,
    FIRST_FD,
    LAST_FD,
    LONGEST_FILE,
    Argument,
    FileSource,
    KexecFileLoad,
    LiveUpdateCall,
)
from warmboot.uapi import PAGE_SIZE, FileFacts, KexecFileRequest

__all__ = ["FilePlayer"]

_ROOT, _NOBODY = Caller(), Caller(cap_sys_boot=False)
_MOST_PAGES = 1 << 16  # that are written in all of a trace
_KMALLOC_MAX_SIZE = 4 << 20  # bytes
_O_ACCMODE, _O_RDONLY, _O_WRONLY = 3, 0, 1
_ENOTTY_OF_ALL = frozenset({0x5460})  # FIOQSIZE: do_vfs_ioctl answers it itself
_FIOCLEX, _FIONCLEX = 0x5451, 0x5450
_F_SEAL_SEAL = 1
_UNREADABLE = ("null", "unmapped", "kernel")

_MEMORY = Rule("cmdline_memory", errno.ENOMEM, "memdup_user", "a command line has some KiB")
_WRITTEN = Rule("write_fault", errno.EFAULT, "generic_perform_write", "give memory that can be read")
_FAULT = Rule("cmdline_fault", errno.EFAULT, "memdup_user", "give memory that can be read")
_PLAIN = {
    number: Rule(f"plain_file_{errno.errorcode[number].lower()}", number, "do_vfs_ioctl", "give another kind of file")
    for number in (errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.ESPIPE, errno.EACCES, errno.EISDIR)
}


class _Plain(File):
    """A file that has nothing to do with live updates: a device, a pipe, a folder, a file of /proc."""

    def __init__(self, kind: str, flags: int = 0) -> None:
        mode = flags & _O_ACCMODE
        super().__init__(readable=mode != _O_WRONLY, writable=mode != _O_RDONLY)
        self.kind = kind


class FilePlayer:
    """One machine's process that prepares live updates, and its calls of kexec_file_load."""

    def __init__(self, kernel: Kernel, contents: Contents) -> None:
        self._kernel = kernel
        self._contents = contents
        self._fds = FdTable(FIRST_FD, LAST_FD + 1)
        self._pages = 0  # that were written
        self._kept = lru_cache(maxsize=2)(self._made)

    # ---------------------------------------------------------------- kexec_file_load

    def load(self, call: KexecFileLoad) -> None:
        """kexec_file_load. Raises KexecError."""
        kernel, initrd = call.kernel, call.kernel if call.initrd.at == "same" else call.initrd
        line, broken = self._command_line(call)
        files = self._facts(kernel), self._facts(initrd)
        if _one_file(kernel, initrd) and (_writes(kernel) or _writes(initrd)):
            files = files[0]._replace(writers=True), files[1]._replace(writers=True)
        request = KexecFileRequest(memoryview(self._file(kernel)), files[1].size, line, call.flags, *files)
        try:
            self._kernel.kexec_file_load(request, _NOBODY if call.nobody else _ROOT, contents=False)
        except KexecError as error:
            if broken is not None and error.rule is rules.COMMAND_LINE_END:
                raise broken from None
            raise

    def _command_line(self, call: KexecFileLoad) -> tuple[bytes, KexecError | None]:
        """What memdup_user copies; or a line that is refused where it would be, and with what."""
        size = call.cmdline_len
        memory = self._memory(call.cmdline)
        if size > _KMALLOC_MAX_SIZE:
            return b"x", _MEMORY.refuse(f"a command line of {size} bytes", addresses=(size,))
        if size > memory.readable:
            return b"x", _FAULT.refuse(f"{size} bytes are copied, and {memory.readable} can be read")
        return memory.read(size), None

    def _memory(self, argument: Argument) -> UserMemory:
        data = self._data(argument)
        if argument.at in _UNREADABLE:
            return UserMemory()
        if argument.at == "edge":
            return UserMemory(data)
        return UserMemory(data, readable=AREA, writable=argument.at != "readonly")

    def _data(self, argument: Argument) -> bytes:
        return self._contents.get(argument.sha256) if argument.sha256 else argument.data

    def _facts(self, source: FileSource) -> FileFacts:
        """What kernel_read_file looks at."""
        at = source.at
        readable = at != "closed" and source.mode in ("r", "rw")
        if at == "fd":
            return self._facts_of_open(source.fd)
        if at == "sysfs":  # which has a page, it says, and fewer bytes
            return FileFacts(PAGE_SIZE, writers=False, complete=False)
        size = source.size or 0
        if at == "content":
            size = len(self._file(source))
        return FileFacts(size, at in ("content", "empty", "sparse", "proc"), readable, _writes(source))

    def _facts_of_open(self, fd: int) -> FileFacts:
        try:
            file = self._fds.get(fd)
        except KexecError:
            return FileFacts(0, readable=False)
        if isinstance(file, ShmemFile):
            return FileFacts(file.inode.size, writers=False)  # what memfd_create opens is no writer
        regular = isinstance(file, SessionHandle) or (isinstance(file, _Plain) and file.kind == "/proc/version")
        return FileFacts(0, regular, file.readable, False)

    def _file(self, source: FileSource) -> bytes:
        """The bytes of a file; none of what the kernel would not read."""
        if source.at != "fd":
            return self._kept(source)
        try:
            file = self._fds.get(source.fd)
        except KexecError:
            return b""
        if isinstance(file, ShmemFile) and file.inode.size <= LONGEST_FILE:
            return file.inode.read(0, file.inode.size)
        return b""

    def _made(self, source: FileSource) -> bytes:
        if source.at == "sparse" and source.size is not None and source.size <= LONGEST_FILE:
            return bytes(source.size)
        if source.at != "content":
            return b""
        data = self._contents.get(source.sha256)
        if source.size is None and not source.patches:
            return data
        wanted = len(data) if source.size is None else source.size
        made = bytearray(data[:wanted])
        for offset, change in source.patches:
            piece = change[: max(0, len(made) - offset)]
            made[offset : offset + len(piece)] = piece
        return bytes(made.ljust(wanted, b"\0"))

    # ---------------------------------------------------------------- live updates

    def live(self, call: LiveUpdateCall) -> tuple[int, str | None]:
        """One call: what it returns, and what it wrote, in hexadecimal. Raises KexecError."""
        fds = self._fds
        match call.call:
            case "open":
                return self._open(call), None
            case "close":
                fds.close(call.fd)
            case "dup":
                file = fds.get(call.fd)
                return self._installed(file.get()), None
            case "pipe":
                first = fds.get_unused_fd()
                fds.install(first, _Plain("pipe"))
                try:
                    second = fds.get_unused_fd()
                except KexecError:
                    fds.close(first)
                    raise
                fds.install(second, _Plain("pipe", _O_WRONLY))
            case "memfd_create":
                return memfd_create(call.name.encode(), call.flags, fds), None
            case "ioctl":
                return 0, self._ioctl(call)
            case "kexec":
                self._jump()
            case _:
                return self._of_file(call)
        return 0, None

    def _installed(self, file: File) -> int:
        try:
            fd = self._fds.get_unused_fd()
        except KexecError:
            file.put()
            raise
        self._fds.install(fd, file)
        return fd

    def _open(self, call: LiveUpdateCall) -> int:
        if call.path == "/" and call.flags & _O_ACCMODE:
            raise _PLAIN[errno.EISDIR].refuse("a folder is not opened for writing")
        fd = self._fds.get_unused_fd()
        if call.path == "/dev/liveupdate":
            file: File = self._kernel.live_update.open()
        elif call.path.startswith("/tmp"):
            file = ShmemFile(ShmemInode(0o600, _F_SEAL_SEAL))
        else:
            file = _Plain(call.path, call.flags)
        self._fds.install(fd, file)
        return fd

    def _ioctl(self, call: LiveUpdateCall) -> str | None:
        file = self._fds.get(call.fd)
        if call.command in (_FIOCLEX, _FIONCLEX):
            return None
        if call.command in _ENOTTY_OF_ALL or not isinstance(file, LiveUpdateDevice | SessionHandle):
            raise _PLAIN[errno.ENOTTY].refuse(f"ioctl {call.command:#x} is none of that file's")
        memory = self._memory(call.argument)
        before = bytes(memory.data)
        file.ioctl(call.command, memory, self._fds)
        after = bytes(memory.data[: len(before)])
        return after.hex() if after != before else None

    def _of_file(self, call: LiveUpdateCall) -> tuple[int, str | None]:
        """What files in memory answer; others refuse."""
        if call.call == "ftruncate" and call.size < 0:  # looked at before the descriptor is
            raise _PLAIN[errno.EINVAL].refuse(f"a size of {call.size} bytes")
        file = self._fds.get(call.fd)
        if not isinstance(file, ShmemFile):
            number = errno.EINVAL
            if call.call == "add_seals" and not file.writable:
                number = errno.EPERM
            elif call.call in ("lseek", "pread", "pwrite"):
                number = errno.ESPIPE
            raise _PLAIN[number].refuse(f"{call.call} of a file that is none in memory")
        match call.call:
            case "ftruncate":
                shmem_truncate(file, call.size)
            case "add_seals":
                memfd_add_seals(file, call.seals)
            case "get_seals":
                return file.inode.seals, None
            case "pwrite":
                return self._write(file, call), None
            case "pread":
                found = file.inode.read(call.offset, call.size)
                return len(found), found.hex() or None
            case _:  # lseek
                file.position = call.offset + (file.position if call.whence else 0)
                return file.position, None
        return 0, None

    def _write(self, file: ShmemFile, call: LiveUpdateCall) -> int:
        """Raises InputError for a trace that writes more than memory is given to."""
        before = len(file.inode.pages)
        data = self._data(call.argument)
        if data and call.argument.at in _UNREADABLE:
            raise _WRITTEN.refuse(f"{len(data)} bytes are written, and none can be read")
        written = shmem_write(file, data, call.offset)
        self._pages += len(file.inode.pages) - before
        if self._pages > _MOST_PAGES:
            raise InputError(f"calls that fill more than {_MOST_PAGES} pages", hint="cut the trace into several")
        return written

    def _jump(self) -> None:
        """The kernel starts itself again: what is open in this process is told to the next, where nothing is open."""
        kernel = self._kernel
        kernel.luo_incoming = kernel.live_update.reboot()
        del kernel.live_update  # the next kernel's is made when it is asked for
        for image in (kernel.kexec_image, kernel.kexec_crash_image):
            kimage_free(kernel, image)
        kernel.kexec_image = kernel.kexec_crash_image = None
        self._fds = FdTable(FIRST_FD, LAST_FD + 1)


def _writes(source: FileSource) -> bool:
    """Whether a descriptor of the file is open for writing."""
    return source.writer or source.mode in ("w", "rw")


def _one_file(kernel: FileSource, initrd: FileSource) -> bool:
    """Whether both are descriptors of one file: what is changed is made for each."""
    made = any(each.at != "content" or each.size is not None or each.patches for each in (kernel, initrd))
    return not made and kernel.sha256 == initrd.sha256
