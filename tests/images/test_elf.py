"""ELF kernels: against readelf and pyelftools, and files that lie about themselves."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from support.formats import assembled, elf, from_debian, vmlinux
from warmboot.debian import KERNELS, kernel, release
from warmboot.errors import InputError, RefusedError
from warmboot.images import ElfImage, UnknownFormatError, identify_bytes
from warmboot.memmap import Facts
from warmboot.placement import place


def elf_image(data: bytes | memoryview) -> ElfImage:
    """The ELF kernel in `data`."""
    image = identify_bytes(memoryview(data), "kernel")
    assert isinstance(image, ElfImage)
    return image


def check_against_pyelftools(image: ElfImage, data: bytes | memoryview) -> None:
    """Class, entry, type and each PT_LOAD are what another parser reads."""
    other = ELFFile(io.BytesIO(data))
    loads = [each for each in other.iter_segments("PT_LOAD") if each["p_memsz"]]
    assert image.entry == other.header["e_entry"]
    assert image.dynamic == (other.header["e_type"] == "ET_DYN")
    assert [(each.paddr, each.vaddr, each.memsz, each.align) for each in image.segments] == [
        (each["p_paddr"], each["p_vaddr"], each["p_memsz"], each["p_align"]) for each in loads
    ]
    assert [each.data for each in image.segments] == [each.data() for each in loads]
    assert (image.start, image.end) == (
        min(each["p_paddr"] for each in loads),
        max(each["p_paddr"] + each["p_memsz"] for each in loads),
    )


@pytest.mark.parametrize("series", KERNELS)
def test_debians_kernels(series: str) -> None:
    data = vmlinux(series)
    image = elf_image(data)
    assert (image.kind, image.bits, image.dynamic) == ("elf-x86_64", 64, False)
    assert image.version.split(" ")[0] == release(kernel(series))
    assert image.start == 16 << 20
    assert image.boot_notes is None
    check_against_pyelftools(image, data)


@pytest.mark.parametrize(("bits", "kind"), [(64, "elf-x86_64"), (32, "elf-x86")])
def test_kernels_built_here(bits: int, kind: str) -> None:
    data = elf(bits)
    image = elf_image(data)
    assert (image.kind, image.bits, image.entry, image.version) == (kind, bits, 0x200000, "unknown")
    text, words = image.segments
    assert (text.paddr, words.paddr) == (0x200000, 0x300000)
    assert (len(words.data), words.memsz) == (2400, 2400 + 0x5000)
    check_against_pyelftools(image, data)


NOTE = """
.section .note, "a", @note
        .long 8, 7, 1
        .asciz "ELFBoot"
        .asciz "memory"
        .align 4
        .long 8, 4, 2
        .asciz "ELFBoot"
        .asciz "1.\\n"
.text
"""


def test_a_program_may_name_itself() -> None:
    data = assembled(f"{NOTE}.globl _start\n_start: hlt\n", bits=32, options=["-Ttext=0x200000"])
    assert elf_image(data).boot_notes == ("memory", "1.?")
    cut = data.replace(struct.pack("<III", 8, 4, 2), struct.pack("<III", 8, 0xFFFFFFFF, 2))
    assert elf_image(cut).boot_notes == ("memory", "")


def test_a_virtual_entry_becomes_a_physical_one() -> None:
    """Kernels of the upper half are linked so; GRUB starts them, and kexec-tools jumps to nowhere."""
    data = assembled(
        ".globl _start\n.text\nhlt\n_start: hlt\n",
        bits=32,
        options=["-Ttext=0xC0200000"],
    )
    patched = bytearray(data)
    first = struct.unpack_from("<I", data, 28)[0]
    struct.pack_into("<I", patched, first + 12, 0x200000)  # p_paddr
    image = elf_image(bytes(patched))
    assert (image.entry, image.segments[0].paddr, image.segments[0].vaddr) == (0x200001, 0x200000, 0xC0200000)


def test_position_independent_kernels_say_so() -> None:
    data = assembled(".globl _start\n_start: hlt\n", bits=64, options=["-pie", "--no-dynamic-linker"])
    assert elf_image(data).dynamic


def test_a_section_table_that_is_not_there_is_no_matter() -> None:
    data = bytearray(elf(64))
    struct.pack_into("<Q", data, 40, 1 << 60)  # e_shoff
    assert elf_image(bytes(data)).segments == elf_image(elf(64)).segments


PHOFF = 64  # where ld puts the program headers of ELF64
TYPE, OFFSET, PADDR, FILESZ, MEMSZ = PHOFF, PHOFF + 8, PHOFF + 24, PHOFF + 32, PHOFF + 40

CHANGES: list[tuple[str, int, str, int, type[Exception], str]] = [
    ("class", 4, "B", 3, InputError, "class 3"),
    ("object file", 16, "<H", 1, RefusedError, "an object file"),
    ("core dump", 16, "<H", 4, RefusedError, "a core dump"),
    ("other type", 16, "<H", 9, RefusedError, "no program"),
    ("entry", 24, "<Q", 0x100000, InputError, "the entry 0x100000 lies in none"),
    ("header table beyond the file", 32, "<Q", 1 << 63, InputError, "cut short within the program headers"),
    ("header size", 54, "<H", 55, InputError, "program headers of 55 bytes"),
    ("no headers", 56, "<H", 0, InputError, "nothing in it is to be loaded"),
    ("many headers", 56, "<H", 0xFFFF, InputError, "cut short within the program headers"),
    ("interpreter", TYPE, "<I", 3, RefusedError, "asks for an interpreter"),
    ("offset", OFFSET, "<Q", 2**64 - 1, InputError, "program header 0 wants bytes 0xffffffffffffffff"),
    ("address", PADDR, "<Q", 2**64 - 1, InputError, "program header 0 ends beyond the last address"),
    ("memory", MEMSZ, "<Q", 2**64 - 1, InputError, "program header 0 ends beyond the last address"),
]


@pytest.mark.parametrize(
    ("offset", "form", "value", "error", "words"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_files_that_lie(offset: int, form: str, value: int, error: type[Exception], words: str) -> None:
    data = bytearray(elf(64))
    struct.pack_into(form, data, offset, value)
    with pytest.raises(error, match=words):
        elf_image(bytes(data))


def test_more_in_the_file_than_in_memory_is_cut() -> None:
    data = bytearray(elf(64))
    struct.pack_into("<Q", data, FILESZ, struct.unpack_from("<Q", data, MEMSZ)[0] + 100)
    segment = elf_image(bytes(data)).segments[0]
    assert len(segment.data) == segment.memsz


MACHINES = [
    (40, 1, "Arm"),
    (183, 1, "arm64"),
    (243, 1, "RISC-V"),
    (258, 1, "LoongArch"),
    (21, 2, "PowerPC64"),
    (22, 2, "S/390"),
    (3, 2, "i386"),
]


@pytest.mark.parametrize(("machine", "order", "words"), MACHINES, ids=[each[2] for each in MACHINES])
def test_other_architectures_are_named(machine: int, order: int, words: str) -> None:
    data = bytearray(elf(64))
    data[5] = order
    data[16:20] = (struct.pack("<HH", 2, machine), struct.pack(">HH", 2, machine))[order - 1]
    with pytest.raises(UnknownFormatError, match=f"wrong architecture: an ELF (program|file) for {words}"):
        elf_image(bytes(data))


def test_programs_of_this_system_are_no_kernels() -> None:
    with pytest.raises(RefusedError, match="a program of an operating system, no kernel"):
        elf_image(Path(sys.executable).resolve().read_bytes())


def test_xen_within_gzip_may_be_loaded_as_plain_elf() -> None:
    data = memoryview(from_debian("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz").read_bytes())
    image = identify_bytes(data, "xen", "elf-x86")
    assert isinstance(image, ElfImage)
    assert (image.kind, image.wrapping) == ("elf-x86", ("gzip",))
    check_against_pyelftools(image, image.file)


def many_headers(count: int) -> memoryview:
    """An ELF file of which every program header loads the whole file to the same address."""
    size = 64 + 56 * count
    header = struct.pack("<16sHHIQQQI6H", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x200000, 64, 0, 0, 64, 56, count, 0, 0, 0)
    return memoryview(header + struct.pack("<IIQQQQQQ", 1, 7, 0, 0x200000, 0x200000, size, size, 4096) * count)


def test_many_program_headers_over_one_file() -> None:
    """They are read, searched and placed without looking at the file once for each."""
    data = many_headers(4096)
    image = elf_image(data)
    assert (len(image.segments), image.version) == (4096, "unknown")
    [kernel] = [each for each in place(image, Facts.of_pc(64 << 20)).request.segments if each.name == "kernel"]
    assert (kernel.mem, kernel.bufsz) == (0x200000, data.nbytes)


def test_more_program_headers_than_a_kernel_has() -> None:
    with pytest.raises(InputError, match="65535 program headers"):
        elf_image(many_headers(65535))
