"""The processor's counter of time: unlike every clock of Linux's it goes on through a kexec."""

from __future__ import annotations

import ctypes
import mmap

from warmboot.live.arch import this_machine

__all__ = ["read_counter"]


def read_counter() -> int | None:
    """Its ticks, of a rate that is to be measured; None where it cannot be read here.

    Its instruction needs memory that may be executed, which SELinux can forbid (execmem).
    """
    from warmboot.errors import RefusedError  # noqa: PLC0415 - its enum would cost more than all of this

    try:
        code = this_machine().read_counter
        memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except (OSError, RefusedError):
        return None
    memory[: len(code)] = code
    place = ctypes.c_char.from_buffer(memory)
    ticks: int = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(place))()
    del place
    memory.close()
    return ticks
