"""The ELF core header, read back by pyelftools, on machines of all kinds."""

from __future__ import annotations

import io

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from warmboot.dump import DumpFacts, KernelText, Moved
from warmboot.dump.elfcorehdr import elfcorehdr
from warmboot.errors import RefusedError
from warmboot.memmap import Range

LOW = Range(0x1000, 0x9FC00)
TEXT = KernelText(0xFFFFFFFF81000000, 0x1000000, 0x2000000)


def facts_of(*ram: Range, notes: int = 1, vmcoreinfo: Range | None = None, page_offset: int = 0) -> DumpFacts:
    each = tuple(Range(0x7F000000 + 0x1000 * number, 0x7F000000 + 0x1000 * number + 368) for number in range(notes))
    return DumpFacts(ram, (Range(0x20000000, 0x30000000),), (), each, vmcoreinfo, TEXT, page_offset)


def segments(header: bytes) -> list[dict[str, int | str]]:
    return [dict(each.header) for each in ELFFile(io.BytesIO(header)).iter_segments()]


@st.composite
def machines(draw: st.DrawFn) -> DumpFacts:
    borders = sorted(draw(st.sets(st.integers(0x100000, (1 << 52) - 1), min_size=2, max_size=40)))
    ram = [LOW, *(Range(start, end) for start, end in zip(borders[::2], borders[1::2], strict=False))]
    vmcoreinfo = draw(st.none() | st.just(Range(0x7FF00000, 0x7FF01024)))
    page_offset = draw(st.sampled_from([0xFFFF888000000000, 0xFF11000000000000, 0xFFFF9C5440000000]))
    return facts_of(*ram, notes=draw(st.integers(1, 300)), vmcoreinfo=vmcoreinfo, page_offset=page_offset)


@given(machines(), st.sampled_from([None, 0x2FF00000]))
def test_it_says_where_everything_is(facts: DumpFacts, saved_at: int | None) -> None:
    header = elfcorehdr(facts, None if saved_at is None else Moved(LOW, saved_at))
    assert len(header) % 1024 == 0
    elf = ELFFile(io.BytesIO(header))
    assert (elf.elfclass, elf.little_endian, elf["e_type"], elf["e_machine"]) == (64, True, "ET_CORE", "EM_X86_64")
    found = segments(header)

    notes = [*facts.notes, *([facts.vmcoreinfo] if facts.vmcoreinfo else [])]
    assert [each["p_offset"] for each in found if each["p_type"] == "PT_NOTE"] == [each.start for each in notes]
    assert [each["p_filesz"] for each in found if each["p_type"] == "PT_NOTE"] == [each.size for each in notes]

    text, *loads = [each for each in found if each["p_type"] == "PT_LOAD"]
    assert (text["p_vaddr"], text["p_paddr"], text["p_filesz"]) == (TEXT.vaddr, TEXT.paddr, TEXT.size)
    assert [each["p_paddr"] for each in loads] == [each.start for each in facts.ram]
    for load, ram in zip(loads, facts.ram, strict=True):
        assert load["p_filesz"] == load["p_memsz"] == ram.size
        assert load["p_vaddr"] == (ram.start + facts.page_offset) % (1 << 64)
        assert load["p_offset"] == (saved_at if saved_at is not None and ram == LOW else ram.start)


def test_notes_come_first_and_the_text_before_memory() -> None:
    kinds = [each["p_type"] for each in segments(elfcorehdr(facts_of(LOW, notes=2, vmcoreinfo=Range(0x9000, 0x9100))))]
    assert kinds == ["PT_NOTE", "PT_NOTE", "PT_NOTE", "PT_LOAD", "PT_LOAD"]


def test_more_headers_than_elf_counts_are_refused() -> None:
    most = 0xFFFE - 2  # the text and LOW are two more
    assert ELFFile(io.BytesIO(elfcorehdr(facts_of(LOW, notes=most)))).num_segments() == 0xFFFE
    with pytest.raises(RefusedError, match="65535"):
        elfcorehdr(facts_of(LOW, notes=most + 1))
