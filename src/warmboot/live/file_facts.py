"""What the kernel will look at before it reads a file for kexec_file_load."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import stat
import threading

from warmboot.uapi import FileFacts

__all__ = ["file_facts"]

_STATFS = 64  # words, more than it has
_NOT_FOR_READING = os.O_WRONLY | getattr(os, "O_PATH", 0)


def file_facts(fd: int) -> FileFacts:
    """Of an open file. One that is not open is not readable, which is all there is to say of it."""
    try:
        status = os.fstat(fd)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    except OSError:
        return FileFacts(0, regular=False, readable=False)
    regular = stat.S_ISREG(status.st_mode)
    readable, writers = not flags & _NOT_FOR_READING, _writers(fd) if regular else None
    xattr, magic = _security_ima(fd), _fsmagic(fd)
    return FileFacts(
        status.st_size, regular, readable, writers, security_ima=xattr, fsmagic=magic, fowner=status.st_uid
    )


def _security_ima(fd: int) -> bytes | None:
    """The attribute, empty where there is none; None where it cannot be asked for."""
    try:
        return os.getxattr(fd, "security.ima")
    except OSError as error:
        return b"" if error.errno in (errno.ENODATA, errno.EOPNOTSUPP) else None


def _fsmagic(fd: int) -> int | None:
    """The magic number of the file's file system, which is the first word of struct statfs."""
    buffer = (ctypes.c_ulong * _STATFS)()
    return int(buffer[0]) if ctypes.CDLL(None).fstatfs(fd, buffer) == 0 else None


def _writers(fd: int) -> bool | None:
    """Whether somebody has the file open for writing, by what deny_write_access looks at: the inode's i_writecount.

    A read lease is refused for it (check_conflicting_open in fs/locks.c). None where no lease can be had: of another
    owner's file without CAP_LEASE, or of a file system without leases.
    """
    if threading.current_thread() is not threading.main_thread():
        return None  # who opens the file for writing meanwhile breaks the lease: the signal must not kill us
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        signal.signal(signal.SIGIO, before)
    return False
