"""kexec's system calls answered "done" for this process and all that it starts, and never made.

A seccomp filter gives 0 back (SECCOMP_RET_ERRNO with no error: seccomp(2)), so a program does all of user space's work
of a load that succeeds, on a kernel with kexec and on one without; nothing is loaded, and what this computer keeps of
its loads is neither read nor written. The filter cannot be taken away.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

__all__ = ["answer_loads"]

_KEXEC_LOAD, _KEXEC_FILE_LOAD = 246, 320  # x86_64
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000
_KEPT = Path("/var/lib/warmboot")
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000


def answer_loads() -> None:
    """Raises OSError where the kernel has no such filters."""
    if platform.machine() != "x86_64":
        raise OSError(0, f"the numbers of {platform.machine()}'s system calls are not known here")
    program = (
        (_LOAD_WORD, 0, 0, 0),  # struct seccomp_data: nr
        (_JUMP_IF_EQUAL, 2, 0, _KEXEC_LOAD),
        (_JUMP_IF_EQUAL, 1, 0, _KEXEC_FILE_LOAD),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_ERRNO),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *each) for each in program))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    _hide_notes(libc)
    none = ctypes.c_ulong(0)
    given = ctypes.c_void_p(ctypes.addressof(header))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), none, none, none) or libc.prctl(
        _PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), given, none, none
    ):
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _hide_notes(libc: ctypes.CDLL) -> None:
    """Only root can write them; where this computer has any, root sees an empty /var/lib. Raises OSError."""
    if os.geteuid() or not _KEPT.exists():
        return
    if (
        libc.unshare(_CLONE_NEWNS)
        or libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
        or libc.mount(b"none", b"/var/lib", b"tmpfs", ctypes.c_ulong(0), None)
    ):
        raise OSError(ctypes.get_errno(), f"mount /var/lib: {os.strerror(ctypes.get_errno())}")
