"""ELF files as a capture initrd wants them: what a program needs to run, and nothing for debuggers.

Program headers say what is loaded; sections and symbols that come after that are for others. zstandard's wheel is
11 MiB with them and 1 without.
"""

from __future__ import annotations

import struct

from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE, header, program_headers

__all__ = ["is_elf", "lean"]

_E_SHOFF = 40  # where the header has the section table's offset; at 58 the size of a row, their number, and a name's


def is_elf(data: bytes) -> bool:
    """Whether it is an ELF64 file."""
    head = header(data)
    return data[:4] == b"\x7fELF" and head is not None and head.bits == 64


def lean(data: bytes) -> bytes:
    """The ELF64 file without what comes after the last byte that is loaded; any other bytes as they are."""
    head = header(data)
    if not is_elf(data) or head is None or head.phentsize != PHDR_SIZE or head.phdrs_end > len(data):
        return data
    rows = list(program_headers(data[head.phoff : head.phdrs_end], head.bits))
    end = max([EHDR_SIZE, head.phdrs_end, *(each.offset + each.filesz for each in rows)])
    if end > len(data):
        return data
    out = bytearray(data[:end])
    struct.pack_into("<Q", out, _E_SHOFF, 0)
    struct.pack_into("<HH", out, 60, 0, 0)  # e_shnum, e_shstrndx
    return bytes(out)
