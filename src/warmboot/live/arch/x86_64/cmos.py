"""CMOS memory by its ports, for kernels that show it nowhere, as Debian's cloud kernels.

The ports are root's, and lockdown closes them.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager

from warmboot.live.machine_code import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_cmos", "write_cmos"]

_INDEX, _DATA = 0x70, 0x71  # I/O ports
# Nothing comes between the two ports but other processors, and the kernel's own handlers:
# mov %edi, %eax; out %al, $0x70; in $0x71, %al; movzbl %al, %eax; ret
_READ = bytes.fromhex("89f8 e670 e471 0fb6c0 c3")
# mov %edi, %eax; out %al, $0x70; shr $8, %eax; out %al, $0x71; ret
_WRITE = bytes.fromhex("89f8 e670 c1e808 e671 c3")
_ioperm = ctypes.CDLL(None, use_errno=True).ioperm


def read_cmos(at: int, size: int) -> bytes:
    """`size` of its 128 bytes, from `at` on. Raises OSError."""
    with _ports():
        return bytes(call(_READ, each) for each in range(at, at + size))


def write_cmos(at: int, data: bytes) -> None:
    """Write bytes from `at` on. Raises OSError."""
    with _ports():
        for index, each in enumerate(data, at):
            call(_WRITE, index | each << 8)


@contextmanager
def _ports() -> Iterator[None]:
    if _ioperm(_INDEX, _DATA - _INDEX + 1, 1):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    try:
        yield
    finally:
        _ioperm(_INDEX, _DATA - _INDEX + 1, 0)
