"""ELF as pyelftools reads it: what is written here, and what is read."""

from __future__ import annotations

import io

from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from support.formats import elf
from warmboot.formats.elf import (
    EHDR_SIZE,
    ET_CORE,
    PHDR_SIZE,
    PT_NOTE,
    ProgramHeader,
    header,
    notes,
    pack_headers,
    pack_note,
    program_headers,
)


def test_what_is_written_is_read() -> None:
    note = pack_note(b"CORE\0", 1, b"12345")
    where = EHDR_SIZE + PHDR_SIZE
    data = pack_headers(ET_CORE, [ProgramHeader(PT_NOTE, 4, where, 0, 0, len(note), len(note), 4)], entry=7) + note
    file = ELFFile(io.BytesIO(data))
    assert (file["e_type"], file["e_machine"], file["e_entry"]) == ("ET_CORE", "EM_X86_64", 7)
    [segment] = file.iter_segments()
    [found] = segment.iter_notes()
    assert (found["n_name"], found["n_descsz"]) == ("CORE", 5)
    ours = header(data)
    assert ours is not None
    [phdr] = program_headers(data[ours.phoff : ours.phdrs_end], ours.bits)
    view = memoryview(data)[phdr.offset : phdr.offset + phdr.filesz]
    assert list(notes(view)) == [(b"CORE\0", 1, b"12345")]


def test_both_classes_read_alike() -> None:
    for bits in (32, 64):
        data = memoryview(elf(bits))
        ours, theirs = header(data), ELFFile(io.BytesIO(data))
        assert ours is not None
        assert (ours.bits, ours.entry, ours.phnum) == (bits, theirs["e_entry"], theirs["e_phnum"])
        found = [*program_headers(data[ours.phoff : ours.phdrs_end], bits)]
        assert [(each.offset, each.paddr, each.filesz, each.memsz, each.align) for each in found] == [
            tuple(each[name] for name in ("p_offset", "p_paddr", "p_filesz", "p_memsz", "p_align"))
            for each in theirs.iter_segments()
        ]


def test_no_header() -> None:
    data = elf(64)
    for broken in (b"", data[:4], data[:63], data[:4] + b"\x03" + data[5:]):
        assert header(broken) is None


@given(st.binary(max_size=200))
def test_notes_of_anything_end(data: bytes) -> None:
    assert sum(len(name) + len(desc) for name, _, desc in notes(memoryview(data))) <= len(data)
