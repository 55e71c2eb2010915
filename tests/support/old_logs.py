"""Small ELF cores of kernels before 5.10, with page tables, VMCOREINFO and a log."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from warmboot.formats.elf import (
    EHDR_SIZE,
    ET_CORE,
    PF_RWX,
    PHDR_SIZE,
    PT_LOAD,
    PT_NOTE,
    ProgramHeader,
    pack_headers,
    pack_note,
)

__all__ = ["OldRecord", "old_core", "record_buffer"]

OldRecord = tuple[int, bytes, bytes]  # time in nanoseconds, text, dictionary

_BASE = 0xFFFFFFFF80000000
_START = 0x1000000  # physical
_SIZE = 0x40000
_NUMBERS, _BUFFER = 0x8000, 0x10000  # within
_HEAD = struct.Struct("<QHHHBB")  # struct printk_log: ts_nsec, len, text_len, dict_len, facility, flags and level


def record_buffer(records: Sequence[OldRecord], size: int, first: int) -> tuple[bytes, int]:
    """A buffer of records from `first` on, as the kernel fills it; and where the next one would be."""
    buffer, at = bytearray(size), first
    for time, text, more in records:
        length = -(-(_HEAD.size + len(text) + len(more)) // 4) * 4
        if at + length + _HEAD.size > size:  # the next is at the start
            buffer[at : at + _HEAD.size] = bytes(_HEAD.size)
            at = 0
        buffer[at : at + length] = (_HEAD.pack(time, length, len(text), len(more), 0, 6) + text + more).ljust(
            length, b"\0"
        )
        at += length
    return bytes(buffer), at


def old_core(buffer: bytes, *, first: int | None = None, after: int = 0, name: str = "printk_log") -> bytes:
    """The core. With `first` and `after` a buffer of records; else text, of which `after` bytes were ever logged."""
    memory = bytearray(_SIZE)
    for at, index, entry in ((0, 511, 0x1003), (0x1000, 510, 0x2003), (0x2000, 8, 0x83)):
        struct.pack_into("<Q", memory, at + index * 8, _START + entry)
    virtual = _BASE + _START
    struct.pack_into(
        "<QIIIII", memory, _NUMBERS, virtual + _BUFFER, len(buffer), first or 0, after, after, min(after, len(buffer))
    )
    memory[_BUFFER : _BUFFER + len(buffer)] = buffer
    lines = {"OSRELEASE": "4.19.0", "PAGESIZE": "4096", "SYMBOL(swapper_pg_dir)": f"{virtual:x}"}
    lines |= {"NUMBER(phys_base)": "0", "SYMBOL(log_buf)": f"{virtual + _NUMBERS:x}"}
    names = ("log_buf_len", "log_first_idx", "log_next_idx", "log_end", "logged_chars")
    for number, each in enumerate(names):
        if each == "log_buf_len" or each.startswith(("log_end", "logged")) == (first is None):
            lines[f"SYMBOL({each})"] = f"{virtual + _NUMBERS + 8 + number * 4:x}"
    if first is not None:
        lines[f"SIZE({name})"] = str(_HEAD.size)
        offsets = {"ts_nsec": 0, "len": 8, "text_len": 10, "dict_len": 12}
        lines |= {f"OFFSET({name}.{member})": str(at) for member, at in offsets.items()}
    text = "".join(f"{key}={value}\n" for key, value in lines.items()).encode()
    note = pack_note(b"VMCOREINFO\0", 0, text)
    at = EHDR_SIZE + 2 * PHDR_SIZE
    headers = (
        ProgramHeader(PT_NOTE, 0, at, 0, 0, len(note), len(note), 0),
        ProgramHeader(PT_LOAD, PF_RWX, 0x2000, virtual, _START, _SIZE, _SIZE, 0),
    )
    return (pack_headers(ET_CORE, headers) + note).ljust(0x2000, b"\0") + bytes(memory)
