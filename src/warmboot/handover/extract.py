"""Writing a preserved memfd's content to a file: piece by piece, with holes where it has only zeros."""

from __future__ import annotations

import os
from pathlib import Path

from warmboot.errors import InputError
from warmboot.handover.interface import PAGE_SIZE, PhysicalMemory
from warmboot.handover.look import Look
from warmboot.handover.memfd import Memfd
from warmboot.handover.side import SideReader
from warmboot.numbers import number, size_text
from warmboot.visible import visible

__all__ = ["extract", "find_memfd", "write_memfd"]

_CHUNK = 1 << 20  # bytes
_ZEROS = bytes(PAGE_SIZE)


def extract(look: Look, name: str, to: Path) -> str:
    """Write the memfd that `name` says, SESSION/TOKEN or an address, to a file; what was written, in words.

    Raises InputError where there is none of that name, or the file cannot be written.
    """
    _, memfd = find_memfd(look, name)
    memory = look.memory
    assert memory is not None, "a memfd was read from memory"
    try:
        written = write_memfd(memory, memfd, to)
    except OSError as error:
        raise InputError(f"{visible(str(to))}: {error.strerror}", hint="name a file that can be written") from None
    return f"{visible(str(to))}: {size_text(memfd.size)}, {size_text(written)} of which are not zeros"


def find_memfd(look: Look, name: str) -> tuple[SideReader, Memfd]:
    """The memfd of that name, and the reader of its side. Raises InputError."""
    session, slash, token = name.rpartition("/")
    key = number(token, 0)
    address = number(name, 0)
    names = list[str]()
    for _, reader in look.readers:
        if reader.files is None:
            continue
        for (each, its_token), where in reader.files.tokens.items():
            if slash and each == session and its_token == key:
                return reader, reader.files.memfds[where]
            names.append(f"{each}/{its_token:#x}")
        if address in reader.files.memfds:
            return reader, reader.files.memfds[address]
        named = set(reader.files.tokens.values())
        names += [f"{each:#x}" for each in reader.files.memfds if each not in named]
    there = ", ".join(visible(each, most=80) for each in names[:8]) or "none"
    raise InputError(f"--extract {visible(name, most=80)}: no such memfd", hint=f"there are: {there}")


def write_memfd(memory: PhysicalMemory, memfd: Memfd, to: Path) -> int:
    """Write the file; how many bytes of it were not left as holes. Raises OSError, and WarmbootError where memory is
    not all there: what was written until then is removed."""
    file = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    written = 0
    try:
        for piece in memfd.pieces(memory):
            for at in range(0, piece.size, _CHUNK):
                size = min(_CHUNK, piece.size - at, memfd.size - piece.offset - at)
                if size > 0:
                    written += _write(file, memory.physical(piece.address + at, size), piece.offset + at)
        os.ftruncate(file, memfd.size)
    except BaseException:
        os.ftruncate(file, 0)
        raise
    finally:
        os.close(file)
    return written


def _write(file: int, data: bytes, offset: int) -> int:
    """Write what is not zeros, in whole pages; how much that was."""
    written = begun = 0
    for at in range(0, len(data) + PAGE_SIZE, PAGE_SIZE):
        page = data[at : at + PAGE_SIZE]
        if page and page != _ZEROS[: len(page)]:
            continue
        if begun < at:
            os.pwrite(file, data[begun:at], offset + begun)
            written += min(at, len(data)) - begun
        begun = at + PAGE_SIZE
    return written
