"""/proc/kcore and /proc/kallsyms: where the running kernel has mapped what. Addresses are virtual."""

from __future__ import annotations

import os

from warmboot.errors import InputError
from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE, PT_LOAD, header, program_headers
from warmboot.live.files import read, under
from warmboot.memmap.ranges import Range
from warmboot.numbers import number

__all__ = ["kcore", "stext"]

_ELF64 = b"\x7fELF\x02\x01\x01"
_HINT = "run it as root on a kernel with CONFIG_PROC_KCORE, or let the kernel make the dump's headers itself (-s)"
_END = 1 << 64


def kcore(root: str = "/") -> list[Range]:
    """The ranges of its PT_LOADs; only its headers are read. Raises InputError where they cannot be understood."""
    path = under(root, "proc/kcore")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(fd, EHDR_SIZE, 0)
            ehdr = header(head) if head.startswith(_ELF64) else None
            if ehdr is None:
                raise InputError(f"{path}: does not begin with an ELF64 header", hint=_HINT)
            size = ehdr.phnum * PHDR_SIZE
            table = os.pread(fd, size, ehdr.phoff) if ehdr.phoff < _END >> 1 else b""  # else no offset in a file
        finally:
            os.close(fd)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=_HINT) from None
    if ehdr.phentsize != PHDR_SIZE or len(table) < size:
        raise InputError(f"{path}: its {ehdr.phnum} program headers from {ehdr.phoff:#x} on cannot be read", hint=_HINT)
    headers = program_headers(table, 64)
    loads = [(each.vaddr, each.vaddr + each.memsz) for each in headers if each.type == PT_LOAD]
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
