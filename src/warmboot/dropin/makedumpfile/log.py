"""The log as `makedumpfile --dump-dmesg` writes it: time, caller, text; what cannot be printed as an escape."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump.log import log_records
from warmboot.dump.opening import open_dump

if TYPE_CHECKING:
    from warmboot.dump.printk_ringbuffer import LogRecord

__all__ = ["log_of"]

_CPU = 1 << 31
_SPACE = b"\t\v\f\r"
# A byte is a signed char there, and its escape has eight digits from 0x80 on.
_ESCAPES = [
    bytes([each])
    if 0x20 <= each < 0x7F or each in _SPACE
    else f"\\x{each if each < 0x80 else each | 0xFFFFFF00:02x}".encode()
    for each in range(256)
]


def log_of(path: Path) -> bytes:
    """The log of a dump. Raises DumpError."""
    return b"".join(map(_line, log_records(open_dump(path))))


def _line(record: LogRecord) -> bytes:
    if record.time is None:
        return record.text
    seconds, rest = divmod(record.time, 1_000_000_000)
    start = f"[{seconds:5}.{rest // 1000:06}] "
    if record.caller is not None:
        caller = f"{'C' if record.caller & _CPU else 'T'}{record.caller & ~_CPU}"
        start += f"[{caller:>8}] "
    _ESCAPES[ord("\n")] = b"\n" + b" " * len(start)
    return start.encode() + b"".join(map(_ESCAPES.__getitem__, record.text)) + b"\n"
