"""The ELF core headers of a crash image that kexec_file_load loads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.kernels import MIB, facts_of, kernel_of, new_kernel
from warmboot.dump.facts import KernelText
from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE, PT_LOAD, PT_NOTE, ProgramHeader, header, program_headers
from warmboot.kernel.arch.x86_64.crash import prepare_elf_headers
from warmboot.memmap import E820Entry, E820Type, Range
from warmboot.memmap.entries import iomem_of_e820

PRESENT = (Range(2 * MIB, 2 * MIB + 424), Range(3 * MIB, 3 * MIB + 424))
VMCOREINFO = Range(5 * MIB, 5 * MIB + 4096)


def headers_of(release: str, possible: int) -> tuple[int, list[ProgramHeader]]:
    """The size of the buffer, and the headers, on a machine of two processors that may get more."""
    with new_kernel(512 * MIB, crashkernel=64 * MIB, release=release) as kernel:
        kernel.crash_notes, kernel.vmcoreinfo_note, kernel.possible_cpus = PRESENT, VMCOREINFO, possible
        kernel.text = KernelText(0xFFFF_FFFF_9A00_0000, 0x1A00_0000, 0x260_0000)
        kernel.page_offset = 0xFFFF_9C45_4000_0000
        data = prepare_elf_headers(kernel)
    ehdr = header(data)
    assert ehdr is not None
    return len(data), list(program_headers(data[EHDR_SIZE : EHDR_SIZE + ehdr.phnum * PHDR_SIZE], 64))


@pytest.mark.parametrize(("release", "told"), [("6.5.0", 2), ("6.6.0", 4), ("7.2.0", 4)])
def test_processors_that_may_come_have_notes_since_6_6(release: str, told: int) -> None:
    _, headers = headers_of(release, 4)
    notes = [Range(each.paddr, each.paddr + each.filesz) for each in headers if each.type == PT_NOTE]
    assert notes == [*PRESENT, *[Range(0, 424)] * (told - 2), VMCOREINFO]


@pytest.mark.parametrize("release", ["6.1.0", "7.2.0"])
def test_there_is_room_for_the_notes_of_all_that_may_come(release: str) -> None:
    others = [each for each in headers_of(release, 2)[1] if Range(each.paddr, each.paddr + each.filesz) not in PRESENT]
    most = (4096 - EHDR_SIZE) // PHDR_SIZE - len(others)
    assert headers_of(release, most)[0] == 4096
    assert headers_of(release, most + 1)[0] == 8192


def test_text_and_direct_map_lie_where_the_kernel_says() -> None:
    text, *ram = (each for each in headers_of("6.12.0", 2)[1] if each.type == PT_LOAD)
    assert (text.vaddr, text.paddr, text.memsz) == (0xFFFF_FFFF_9A00_0000, 0x1A00_0000, 0x260_0000)
    assert ram
    assert all(each.vaddr == each.paddr + 0xFFFF_9C45_4000_0000 for each in ram)


def test_neighbouring_ram_stays_apart() -> None:
    """As setup_data splits it, or memory that was added behind RAM."""
    ram = (Range(MIB, 12 * MIB), Range(12 * MIB, 12 * MIB + 3806), Range(12 * MIB + 3806, 256 * MIB))
    iomem = iomem_of_e820(E820Entry(each, E820Type.RAM) for each in ram)
    with kernel_of(replace(facts_of(256 * MIB), iomem=iomem)) as kernel:
        data = prepare_elf_headers(kernel)
    headers = list(program_headers(data[EHDR_SIZE : EHDR_SIZE + PHDR_SIZE * 6], 64))
    assert tuple(Range(each.paddr, each.paddr + each.memsz) for each in headers[-3:]) == ram
