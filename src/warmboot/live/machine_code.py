"""Machine code of a few instructions, for what Python has no function for and Linux no file."""

from __future__ import annotations

import ctypes
import mmap

__all__ = ["call"]


def call(code: bytes, argument: int = 0) -> int:
    """What a function returns, as 64 bits without a sign; its argument, and it itself, go by the C language's rules.

    Raises OSError where memory may not be executed, as SELinux has it (execmem).
    """
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory[: len(code)] = code
    place = ctypes.c_char.from_buffer(memory)
    found: int = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)(ctypes.addressof(place))(argument)
    del place
    memory.close()
    return found
