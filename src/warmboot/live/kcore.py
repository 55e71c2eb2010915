"""/proc/kcore and /proc/kallsyms: where the running kernel has mapped what. Addresses are virtual."""

from __future__ import annotations

import os
import struct

from warmboot.errors import InputError
from warmboot.live.files import read, under
from warmboot.memmap.ranges import Range
from warmboot.numbers import number

__all__ = ["kcore", "stext"]

_PT_LOAD = 1
_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_HINT = "run it as root on a kernel with CONFIG_PROC_KCORE, or let the kernel make the dump's headers itself (-s)"
_END = 1 << 64


def kcore(root: str = "/") -> list[Range]:
    """The ranges of its PT_LOADs; only its headers are read. Raises InputError where they cannot be understood."""
    path = under(root, "proc/kcore")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            ehdr = os.pread(fd, _EHDR.size, 0)
            if len(ehdr) < _EHDR.size or ehdr[:6] != b"\x7fELF\x02\x01":
                raise InputError(f"{path}: does not begin with an ELF64 header", hint=_HINT)
            _, _, _, _, _, phoff, _, _, _, phentsize, phnum, *_ = _EHDR.unpack(ehdr)
            table = os.pread(fd, phnum * _PHDR.size, phoff) if phoff < _END >> 1 else b""  # else no offset of a file
        finally:
            os.close(fd)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=_HINT) from None
    if phentsize != _PHDR.size or len(table) < phnum * _PHDR.size:
        raise InputError(f"{path}: its {phnum} program headers from {phoff:#x} on cannot be read", hint=_HINT)
    headers = _PHDR.iter_unpack(table)
    loads = [(vaddr, vaddr + size) for kind, _, _, vaddr, _, _, size, _ in headers if kind == _PT_LOAD]
    if any(end > _END for _, end in loads):
        raise InputError(f"{path}: a program header has more than 64 bits", hint=_HINT)
    return [Range(start, end) for start, end in loads]


def stext(root: str = "/") -> int:
    """The address of the symbol _stext, or 0, which no piece of kernel memory has, where it is hidden."""
    symbol = b" _stext\n"
    try:
        symbols = read(under(root, "proc/kallsyms"), until=symbol)
    except OSError:
        return 0
    line = symbols.partition(symbol)[0].rpartition(b"\n")[2]
    word = line.split(b" ")[0].decode("ascii", "replace")
    return (number(word, 16) or 0) if symbol in symbols else 0
