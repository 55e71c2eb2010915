"""What depends on the architecture of this computer, one folder each, named as `uname -m` does."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.live.arch.interface import LiveArch

__all__ = ["of", "this_machine"]

_KNOWN = ("x86_64",)


def of(machine: str) -> LiveArch:
    """What computers of that architecture bring. Raises RefusedError where it is none of ours."""
    if machine not in _KNOWN:
        from warmboot.errors import RefusedError  # noqa: PLC0415 - its enum would cost more than all of this

        raise RefusedError(f"{machine}: no such architecture", hint=f"these are known: {', '.join(_KNOWN)}")
    arch: LiveArch = __import__(f"{__name__}.{machine}", fromlist=["ARCH"]).ARCH
    return arch


def this_machine() -> LiveArch:
    """What this computer's architecture brings. Raises RefusedError where it is none of ours, and in a 32-bit program:
    by the numbers of 64-bit system calls it would make others, and 32-bit x86 has none for kexec_file_load."""
    if sys.maxsize < 1 << 32:
        from warmboot.errors import RefusedError  # noqa: PLC0415

        raise RefusedError("a 32-bit Python cannot make the system calls of this kernel", hint="use a 64-bit Python")
    return of(os.uname().machine)
