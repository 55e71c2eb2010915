"""The ELF core header that a crash kernel finds by `elfcorehdr=`, and makes /proc/vmcore of.

It is ELF64 as fs/proc/vmcore.c reads it: p_offset is where the crash kernel finds the bytes (physical), p_paddr
where the crashed kernel had them. Notes first; of the pieces of memory the kernel's text first, which readers of
dumps look up by its virtual address although the direct map has the same bytes. kexec-tools writes the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from warmboot.dump.facts import DumpFacts, Moved
from warmboot.errors import RefusedError

__all__ = ["ALIGN", "elfcorehdr"]

ALIGN = 1024  # bytes: the command line tells its address in KiB

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_IDENT = b"\x7fELF\x02\x01\x01"  # ELFCLASS64, ELFDATA2LSB, EV_CURRENT
_ET_CORE, _EM_X86_64, _EV_CURRENT = 4, 62, 1
_PT_LOAD, _PT_NOTE, _RWX = 1, 4, 7
_PN_XNUM = 0xFFFF  # from there on the number of program headers is told in a section header, which Linux ignores
_U64 = (1 << 64) - 1


def elfcorehdr(facts: DumpFacts, moved: Moved | None = None) -> bytes:
    """The header for a dump, whole KiB; the bytes of `moved` are found where they were saved.

    Raises RefusedError where memory has more pieces than a header can name.
    """
    phdrs = [*_notes(facts), *_loads(facts, moved)]
    if len(phdrs) >= _PN_XNUM:
        raise RefusedError(
            f"memory and processors would take {len(phdrs)} program headers, an ELF core header has fewer than 65535",
            hint="let the kernel make the header: load the crash kernel by kexec_file_load (-s)",
        )
    ehdr = _EHDR.pack(
        _IDENT, _ET_CORE, _EM_X86_64, _EV_CURRENT, 0, _EHDR.size, 0, 0, _EHDR.size, _PHDR.size, len(phdrs), 0, 0, 0
    )
    packed = ehdr + b"".join(phdrs)
    return packed.ljust(-(-len(packed) // ALIGN) * ALIGN, b"\0")


def _notes(facts: DumpFacts) -> Iterator[bytes]:
    last = () if facts.vmcoreinfo is None else (facts.vmcoreinfo,)
    for each in (*facts.notes, *last):
        yield _PHDR.pack(_PT_NOTE, 0, each.start, 0, each.start, each.size, each.size, 0)


def _loads(facts: DumpFacts, moved: Moved | None) -> Iterator[bytes]:
    text = facts.text
    yield _PHDR.pack(_PT_LOAD, _RWX, text.paddr, text.vaddr, text.paddr, text.size, text.size, 0)
    for each in facts.ram:
        found_at = moved.to if moved is not None and moved.source == each else each.start
        vaddr = facts.page_offset + each.start & _U64
        yield _PHDR.pack(_PT_LOAD, _RWX, found_at, vaddr, each.start, each.size, each.size, 0)
