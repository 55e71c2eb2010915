"""Forget the loaded image."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.failure import explain, print_not_available
from warmboot.dropin.stop import EFAILED, EFALLBACK
from warmboot.live.calls import LiveError, kexec_file_unload, kexec_unload
from warmboot.live.status import is_locked_down
from warmboot.uapi.numbers import KEXEC_FILE_ON_CRASH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.command import Command

__all__ = ["unload"]

_EPERM, _ENOSYS = 1, 38
_LOCKED_DOWN = """\
kexec: the running kernel is locked down (lockdown(7), as with Secure Boot): kexec_load is forbidden, to unload too
kexec: try: -u without -c: kexec_file_load may unload
"""
_UNDERSTOOD_BY_UNLOAD = KEXEC_FILE_ON_CRASH  # kexec-tools passes on -d too, which kernels before 6.8 refuse


def unload(command: Command) -> int:
    """0, or a negative number of stop.py."""
    if command.file_call:
        try:
            kexec_file_unload(command.file_flags & _UNDERSTOOD_BY_UNLOAD)
        except LiveError as error:
            if error.errno != _ENOSYS:
                sys.stderr.write(f"kexec_file_load(unload) failed: {error.strerror}\n")
                explain(error)
                return EFAILED
            if not command.fallback:
                print_not_available()
                explain(error)
                return EFALLBACK
        else:
            return 0
    try:
        kexec_unload(command.flags)
    except LiveError as error:
        sys.stderr.write(f"kexec unload failed: {error.strerror}\n")
        if error.errno == _EPERM and os.geteuid() == 0 and is_locked_down():
            sys.stderr.write(_LOCKED_DOWN)
        else:
            explain(error)
        return EFAILED
    return 0
