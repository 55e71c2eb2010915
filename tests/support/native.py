"""Machine code of ours, run as a function by this very processor."""

from __future__ import annotations

import ctypes
import mmap
from types import TracebackType

__all__ = ["Native"]


class Native:
    """The function `entry` bytes into `code`, by the C calling convention: bytes and a number go in, a number comes."""

    def __init__(self, code: bytes, entry: int) -> None:
        self._page = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(code)
        self._held: ctypes.c_char | None = ctypes.c_char.from_buffer(self._page)
        prototype = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t)
        self._function = prototype(ctypes.addressof(self._held) + entry)

    def __call__(self, data: bytes, number: int) -> int:
        return int(self._function(data, number))

    def __enter__(self) -> Native:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held = None
        self._page.close()
