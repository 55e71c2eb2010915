"""The log before 5.10 (kernel/printk/printk.c): `log_buf`, of records since 3.5, of text before.

A record is struct printk_log (struct log before 3.11), its text, its dictionary; `len` is the size of all. A `len` of 0
says that the next record is at the start of the buffer.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.printk_ringbuffer import LogRecord
from warmboot.dump.spans import with_gaps
from warmboot.memmap.range_set import RangeSet

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory
    from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["buffer_records", "buffer_text"]

_MOST = 1 << 25  # bytes: LOG_BUF_SHIFT is at most 25
_HINT = "give a dump whose pages of the log are whole; what it has was read"


def buffer_records(memory: Memory, *, marks: bool = False) -> Iterator[LogRecord]:
    """The records of 3.5 to 5.9, oldest first. Raises DumpError, after what can be read.

    With `marks` the end of the buffer is a record too, as vmcore-dmesg prints it.
    """
    info = memory.vmcoreinfo
    name = "printk_log" if info.size("printk_log") else "log"
    head = _known(info.size(name), f"SIZE({name})")
    at_time, at_len, at_text_len = (
        _known(info.offset(f"{name}.{each}"), f"OFFSET({name}.{each})") for each in ("ts_nsec", "len", "text_len")
    )
    if max(at_time + 8, at_len + 2, at_text_len + 2) > head:
        raise DumpError(f"VMCOREINFO: SIZE({name}) is {head}: its members are not within it", hint=_HINT)
    data, missing = _buffer(memory)
    at, end = (_number(memory, each, 4) for each in ("log_first_idx", "log_next_idx"))
    wrapped, lost = False, False
    while at != end:
        if wrapped and at > end:
            raise DumpError(f"log_buf: a record ends at {at:#x}, beyond the last one at {end:#x}", hint=_HINT)
        if at + head > len(data):
            raise DumpError(f"log_buf: a record at {at:#x}: {head} bytes were expected in {len(data):#x}", hint=_HINT)
        row = data[at : at + head]
        size, text_size = _u16(row, at_len), _u16(row, at_text_len)
        if missing.overlaps(at, at + head):
            raise DumpError(f"log_buf: the record at {at:#x} is not in the dump", hint=_HINT)
        if not size:
            if wrapped:
                raise DumpError(f"log_buf: a second end at {at:#x}", hint=_HINT)
            if marks:
                time = int.from_bytes(row[at_time : at_time + 8], "little")
                yield LogRecord(time, None, data[at + head : at + head + text_size])
            at, wrapped = 0, True
            continue
        if size < head or at + size > len(data) or head + text_size > size:
            raise DumpError(f"log_buf: a record at {at:#x} of {size} bytes with {text_size} of text", hint=_HINT)
        if missing.overlaps(at, at + size):
            lost = True
        else:
            time = int.from_bytes(row[at_time : at_time + 8], "little")
            yield LogRecord(time, None, data[at + head : at + head + text_size])
        at += size
    if lost:
        raise DumpError("log_buf: some records are not in the dump", hint=_HINT)


def buffer_text(memory: Memory) -> Iterator[LogRecord]:
    """The lines of the text before 3.5, with their line ends and without times. Raises DumpError."""
    data, missing = _buffer(memory)
    end = _number(memory, "log_end", 4)
    count = min(end, len(data))
    if memory.vmcoreinfo.symbol("logged_chars") is not None:
        count = min(_number(memory, "logged_chars", 4), len(data))
    start = (end - count) % len(data)
    text = (data[start:] + data[:start])[:count]
    for line in io.BytesIO(text):
        yield LogRecord(None, None, line)
    if missing:
        raise DumpError("log_buf: some of it is not in the dump and reads as zeros", hint=_HINT)


def _buffer(memory: Memory) -> tuple[bytes, RangeSet]:
    """The buffer, with zeros for what is missing in the dump, and the offsets at which that is."""
    start, size = _number(memory, "log_buf", 8), _number(memory, "log_buf_len", 4)
    if not 0 < size <= _MOST:
        raise DumpError(f"log_buf_len is {size}: at most {_MOST} was expected", hint=_HINT)
    data, missing = with_gaps(memory, start, size)
    return data, RangeSet(missing)


def _number(memory: Memory, name: str, size: int) -> int:
    return int.from_bytes(memory.virtual(_symbol(memory.vmcoreinfo, name), size), "little")


def _symbol(info: Vmcoreinfo, name: str) -> int:
    found = info.symbol(name)
    if found is None:
        raise DumpError(f"VMCOREINFO has no SYMBOL({name}): where the log is is not known", hint=_HINT)
    return found


def _known(value: int | None, name: str) -> int:
    if value is None or not 0 <= value <= 4096:
        raise DumpError(f"VMCOREINFO has no {name} that can be", hint=_HINT)
    return value


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
