"""The ELF core header that a crash kernel finds by `elfcorehdr=`, and makes /proc/vmcore of.

It is ELF64 as fs/proc/vmcore.c reads it: p_offset is where the crash kernel finds the bytes (physical), p_paddr
where the crashed kernel had them. Notes first; of the pieces of memory the kernel's text first, which readers of
dumps look up by its virtual address although the direct map has the same bytes. kexec-tools writes the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from warmboot.dump.facts import DumpFacts, Moved
from warmboot.errors import RefusedError
from warmboot.formats.elf import ET_CORE, PF_RWX, PN_XNUM, PT_LOAD, PT_NOTE, ProgramHeader, pack_headers

__all__ = ["ALIGN", "elfcorehdr"]

ALIGN = 1024  # bytes: the command line tells its address in KiB

_U64 = (1 << 64) - 1


def elfcorehdr(facts: DumpFacts, moved: Moved | None = None) -> bytes:
    """The header for a dump, whole KiB; the bytes of `moved` are found where they were saved.

    Raises RefusedError where memory has more pieces than a header can name.
    """
    phdrs = [*_notes(facts), *_loads(facts, moved)]
    if len(phdrs) >= PN_XNUM:
        raise RefusedError(
            f"memory and processors would take {len(phdrs)} program headers, an ELF core header has fewer than 65535",
            hint="let the kernel make the header: load the crash kernel by kexec_file_load (-s)",
        )
    packed = pack_headers(ET_CORE, phdrs)
    return packed.ljust(-(-len(packed) // ALIGN) * ALIGN, b"\0")


def _notes(facts: DumpFacts) -> Iterator[ProgramHeader]:
    last = () if facts.vmcoreinfo is None else (facts.vmcoreinfo,)
    for each in (*facts.notes, *last):
        yield ProgramHeader(PT_NOTE, 0, each.start, 0, each.start, each.size, each.size, 0)


def _loads(facts: DumpFacts, moved: Moved | None) -> Iterator[ProgramHeader]:
    text = facts.text
    yield ProgramHeader(PT_LOAD, PF_RWX, text.paddr, text.vaddr, text.paddr, text.size, text.size, 0)
    for each in facts.ram:
        found_at = moved.to if moved is not None and moved.source == each else each.start
        vaddr = facts.page_offset + each.start & _U64
        yield ProgramHeader(PT_LOAD, PF_RWX, found_at, vaddr, each.start, each.size, each.size, 0)
