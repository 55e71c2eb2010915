"""The crash's agent as a program that Linux starts."""

from __future__ import annotations

from warmboot.formats.elf import EHDR_SIZE, ET_EXEC, PF_RWX, PHDR_SIZE, PT_LOAD, ProgramHeader, pack_headers
from warmboot.stubs.stub import stub

__all__ = ["MARKS", "crash_agent"]

_AT = 0x40_0000  # virtual: where the file is mapped
_HEADERS = EHDR_SIZE + PHDR_SIZE

# What crash_agent.S has in its registers at the crash: those that a system call leaves alone.
MARKS = {
    "rbx": 0x5752_B007_0000_00BB,
    "rbp": 0x5752_B007_0000_00B9,
    "r12": 0x5752_B007_0000_0012,
    "r13": 0x5752_B007_0000_0013,
    "r14": 0x5752_B007_0000_0014,
    "r15": 0x5752_B007_0000_0015,
}


def crash_agent() -> bytes:
    """The ELF file: headers and code, in one segment."""
    code = stub(__file__, "crash_agent")
    size = _HEADERS + len(code)
    load = ProgramHeader(PT_LOAD, PF_RWX, 0, _AT, _AT, size, size, 0x1000)
    return pack_headers(ET_EXEC, [load], entry=_AT + _HEADERS) + code
