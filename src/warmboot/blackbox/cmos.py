"""Reading the marks in CMOS memory: where Linux shows that, or by the processor's ports.

The clock's driver has it as nvmem (CONFIG_RTC_NVMEM), and the module nvram as /dev/nvram, which is not read where the
checksum of PC firmware's own bytes is wrong (pc_nvram_read in drivers/char/nvram.c), as it is in QEMU. The marks are
few: a page tells more, and is looked at first.
"""

from __future__ import annotations

import os
from contextlib import suppress

from warmboot.errors import RefusedError
from warmboot.live.arch import this_machine
from warmboot.live.files import folder, under
from warmboot.purgatory.cmos import CMOS_AT, CMOS_SIZE, CmosMarks, parse_cmos

__all__ = ["clear_cmos", "read_cmos"]

_NVMEM, _NVRAM = "sys/bus/nvmem/devices", "dev/nvram"
_CLOCK = 14  # bytes of the clock, before those that Linux shows
_PORTS = f"CMOS memory at {CMOS_AT:#x}, by its ports"


def read_cmos(root: str = "/") -> tuple[CmosMarks, str] | None:
    """The marks, and where they were read; None where there are none, or nothing can be read."""
    for path in (*_nvmem(root), under(root, _NVRAM)):
        with suppress(OSError):
            return _found(_read_file(path), f"CMOS memory at {CMOS_AT:#x}, by {path}")
    if root == "/":
        with suppress(OSError, RefusedError):
            # Another processor may use the ports at the same time: then the sum is wrong.
            return _found(this_machine().read_cmos(CMOS_AT, CMOS_SIZE), _PORTS)
    return None


def clear_cmos(root: str = "/") -> str:
    """Write zeros over marks that are there; where that was, nothing where there are none. Raises OSError."""
    found = read_cmos(root)
    if found is None:
        return ""
    this_machine().write_cmos(CMOS_AT, bytes(CMOS_SIZE))
    return found[1]


def _found(data: bytes, where: str) -> tuple[CmosMarks, str] | None:
    marks = parse_cmos(data)
    return None if marks is None else (marks, where)


def _nvmem(root: str) -> list[str]:
    base = under(root, _NVMEM)
    return [f"{base}/{name}/nvmem" for name in sorted(folder(base)) if name.startswith("cmos_nvram")]


def _read_file(path: str) -> bytes:
    """Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, CMOS_SIZE, CMOS_AT - _CLOCK)
    finally:
        os.close(fd)
