"""Reading the marks in CMOS memory: by the driver of the clock, which has it as nvmem, by /dev/nvram, or by the ports.

They are few: a page tells more, and is looked at first.
"""

from __future__ import annotations

import os
from contextlib import suppress

from warmboot.live.files import folder, under
from warmboot.purgatory.cmos import CMOS_AT, CMOS_SIZE, CmosMarks, parse_cmos

__all__ = ["cmos_words", "read_cmos"]

_NVMEM, _NVRAM, _PORT = "sys/bus/nvmem/devices", "dev/nvram", "dev/port"
_CLOCK = 14  # bytes of the clock, before those that Linux shows
_INDEX = 0x70  # I/O port; the next one has the byte


def read_cmos(root: str = "/") -> tuple[CmosMarks, str] | None:
    """The marks, and where they were read; None where there are none, or nothing can be read."""
    for path in (*_nvmem(root), under(root, _NVRAM)):
        with suppress(OSError):
            marks = parse_cmos(_read_file(path))
            return None if marks is None else (marks, path)
    with suppress(OSError):
        marks = parse_cmos(_read_ports(under(root, _PORT)))
        return None if marks is None else (marks, under(root, _PORT))
    return None


def cmos_words(marks: CmosMarks) -> str:
    """What they say; which load that was, its id tells, of which two bytes are kept."""
    told = f"by CMOS memory, the load whose id begins with {marks.load_id.hex()} came to: {marks.stage.name.lower()}"
    if marks.vector is not None:
        told += f"; exception {marks.vector}"
    elif marks.piece:
        told += f"; piece {marks.piece} differs"
    return told


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


def _read_ports(path: str) -> bytes:
    """Byte by byte; the kernel's own reader of the clock may come in between, which the sum tells. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        data = b""
        for at in range(CMOS_AT, CMOS_AT + CMOS_SIZE):
            os.pwrite(fd, bytes([at]), _INDEX)
            data += os.pread(fd, 1, _INDEX + 1)
        return data
    finally:
        os.close(fd)
