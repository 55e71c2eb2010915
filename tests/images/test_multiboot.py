"""Multiboot 1 and 2: headers built by GNU assembler, Xen, and headers that make no sense."""

from __future__ import annotations

import struct

import pytest

from support.formats import MULTIBOOT1, elf, from_debian, multiboot1, multiboot2, samples, tag
from warmboot.errors import InputError, RefusedError
from warmboot.images import (
    ElfImage,
    MultibootImage,
    Relocation,
    UnknownFormatError,
    VideoMode,
    identify,
    identify_bytes,
)


def multiboot(data: bytes, kind: str | None = None) -> MultibootImage:
    """The multiboot kernel in `data`."""
    image = identify_bytes(memoryview(data), "kernel", kind)
    assert isinstance(image, MultibootImage)
    return image


# --- multiboot 1 ---------------------------------------------------------------------------------------------------


def test_an_elf_kernel() -> None:
    image = multiboot(samples()["multiboot 1"])
    elf_itself = identify_bytes(image.file, "kernel", "elf-x86")
    assert isinstance(elf_itself, ElfImage)
    assert (image.kind, image.protocol, image.bits, image.dynamic) == ("multiboot-x86", 1, 32, False)
    assert (image.entry, image.segments) == (elf_itself.entry, elf_itself.segments)
    assert (image.wants_memory_info, image.wants_aligned_modules) == (True, True)
    assert image.video_mode == VideoMode(1024, 768, 32)
    assert image.relocation is None


def test_flags_say_what_is_wanted() -> None:
    plain = multiboot(multiboot1(0))
    assert (plain.wants_memory_info, plain.wants_aligned_modules, plain.video_mode) == (False, False, None)
    text = multiboot(multiboot1(4, ".long 0, 0, 0, 0, 0, 1, 80, 25, 0\n"))
    assert text.video_mode == VideoMode(80, 25, 0, text=True)


def test_a_flat_kernel_has_addresses_of_its_own() -> None:
    """0.6.96, 3.1.3: nothing but the header tells what is loaded where."""
    data = samples()["multiboot 1 flat"]
    assert data[:4] != b"\x7fELF"
    image = multiboot(data)
    (segment,) = image.segments
    assert segment.data == data[:0x1960]
    assert (segment.paddr, segment.memsz) == (0x200000, 0x7000)
    assert image.entry == 0x200000 + 32
    whole = multiboot(multiboot1(0x10000, ".long header, 0x200000, 0, 0, _start\n", flat=True))
    assert whole.segments[0].data == whole.file
    assert whole.segments[0].memsz == len(whole.file)


def test_what_lies_before_the_header_is_not_loaded() -> None:
    """The image begins header_addr - load_addr bytes before the header, wherever in the file that is."""
    data = samples()["multiboot 1 flat"]
    image = multiboot(bytes(4096) + data)
    assert image.segments[0].data == data[:0x1960]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("header, 0x200010, 0x201960, 0x207000, _start", "which byte 0x0 cannot be"),
        ("header, 0x1ff000, 0x201960, 0x207000, _start", "which byte 0x0 cannot be"),
        ("header, 0x200000, 0x1ff000, 0x207000, _start", "ends the image before it begins"),
        ("header, 0x200000, 0x201960, 0x201000, _start", "ends the image before it begins"),
        ("header, 0x200000, 0x301960, 0x407000, _start", "cut short: its multiboot header wants 1055072 bytes"),
        ("header, 0x200000, 0x201960, 0x207000, 0x300000", "the entry 0x300000 lies in none"),
    ],
)
def test_addresses_that_make_no_sense(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        multiboot(multiboot1(0x10000, f".long {words}\n", flat=True))


def test_features_that_must_be_known() -> None:
    with pytest.raises(RefusedError, match="needs features 0x8"):
        multiboot(multiboot1(8))
    with pytest.raises(RefusedError, match="needs features 0xfff8"):
        multiboot(multiboot1(0xFFFF))
    assert multiboot(multiboot1(1 << 20)).protocol == 1  # flags above 15 may be left alone
    assert identify_bytes(memoryview(multiboot1(8)), "kernel", "elf-x86").kind == "elf-x86"


def test_the_header_is_where_the_specification_looks() -> None:
    header = struct.pack("<III", MULTIBOOT1, 0x10000, -(MULTIBOOT1 + 0x10000) & 0xFFFFFFFF)
    rest = struct.pack("<5I", 0x200000, 0x200000, 0, 0, 0x200000)
    assert multiboot((bytes(8192 - 12) + header + rest).ljust(16384, b"\0")).segments[0].data.nbytes == 8192 + 12
    for data in (
        bytes(8192 - 8) + header + rest,  # not wholly within 8 KiB
        bytes(2) + header + rest,  # not at a multiple of 4
        bytes(4) + header[:8] + b"\1\0\0\0" + rest,  # the sum is not 0
    ):
        with pytest.raises(UnknownFormatError):
            multiboot(data)
    broken = header[:8] + b"\1\0\0\0"
    assert multiboot((broken + header + rest).ljust(1024, b"\0")).segments[0].data.nbytes == 1012


def test_a_64_bit_elf_is_no_multiboot_1_kernel() -> None:
    """As for kexec-tools: it is the plain ELF file that it also is."""
    data = multiboot1(3, bits=64)
    assert identify_bytes(memoryview(data), "kernel").kind == "elf-x86_64"


# --- multiboot 2 ---------------------------------------------------------------------------------------------------


def test_xen() -> None:
    image = identify(from_debian("xen-hypervisor-4.17-amd64", "boot/xen-4.17-amd64.gz"))
    assert isinstance(image, MultibootImage)
    assert (image.kind, image.protocol, image.wrapping) == ("multiboot2-x86", 2, ("gzip",))
    assert image.requests == (4, 6)  # basic memory information, memory map
    assert image.relocation == Relocation(0x200000, 0xFFFFFFFF, 0x200000, 2)
    assert (image.entry, image.start) == (0x200000, 0x200000)
    assert (image.wants_aligned_modules, image.wants_boot_services) == (True, True)
    older = identify_bytes(image.file, "xen", "multiboot-x86")
    assert isinstance(older, MultibootImage)
    assert (older.protocol, older.segments) == (1, image.segments)


@pytest.mark.parametrize("bits", [32, 64])
def test_every_tag(bits: int) -> None:
    tags = (
        tag(1, 4, 6, 8) + tag(1, 14, 15, flags=1) + tag(4, 3) + tag(5, 800, 600, 24) + tag(6)
        + tag(7, flags=1) + tag(9, "_start", flags=1) + tag(10, 0x100000, 0x3FFFFFFF, 0x1000, 1) + tag(77, 1, flags=1)
    )  # fmt: skip
    image = multiboot(multiboot2(tags, bits=bits))
    assert (image.bits, image.wants_memory_info, image.wants_aligned_modules) == (bits, True, True)
    assert (image.requests, image.optional_requests) == ((4, 6, 8), (14, 15))
    assert image.console_flags == 3
    assert image.video_mode == VideoMode(800, 600, 24)
    assert image.relocation == Relocation(0x100000, 0x3FFFFFFF, 0x1000, 1)
    assert image.wants_boot_services
    plain = identify_bytes(image.file, "kernel", "elf-x86" if bits == 32 else "elf-x86_64")
    assert isinstance(plain, ElfImage)
    assert (image.entry, image.segments) == (plain.entry, plain.segments)


def test_no_tags() -> None:
    image = multiboot(multiboot2(""))
    assert (image.requests, image.relocation, image.video_mode, image.console_flags) == ((), None, None, None)
    assert (image.wants_aligned_modules, image.wants_boot_services) == (False, False)


def test_an_entry_tag_wins_over_elf() -> None:
    image = multiboot(multiboot2(tag(3, "_start + 1")))
    plain = identify_bytes(image.file, "kernel", "elf-x86")
    assert isinstance(plain, ElfImage)
    assert image.entry == plain.entry + 1


def test_a_flat_kernel_has_an_address_tag() -> None:
    data = samples()["multiboot 2 flat"]
    image = multiboot(data)
    assert data[:4] != b"\x7fELF"
    (segment,) = image.segments
    assert (segment.paddr, segment.memsz, bytes(segment.data)) == (0x200000, 0x7000, data)
    from_start = multiboot(multiboot2(tag(2, "header", 0xFFFFFFFF, 0, 0) + tag(3, "_start"), flat=True))
    assert from_start.segments[0].paddr == 0x200000


@pytest.mark.parametrize(
    ("tags", "error", "message"),
    [
        (tag(2, "header", 0x200000, 0, 0), InputError, "an address tag, but no entry address"),
        (tag(2, "header", 0x200000, 0, 0) + tag(3, 0x5), InputError, "the entry 0x5 lies in none"),
        (tag(2, "header", 0x100000, 0, 0) + tag(3, "_start"), InputError, "cannot be"),
        (tag(2, 0x0, 0x200000, 0, 0) + tag(3, "_start"), InputError, "cannot be"),
        (tag(3), InputError, "a multiboot 2 tag of 8 bytes is too short"),
        (tag(77), RefusedError, "needs a feature of type 77"),
        (tag(10, 0x2000, 0x1000, 0x1000, 0), InputError, "is impossible"),
        (tag(10, 0x1000, 0x2000, 0x1001, 0), InputError, "is impossible"),
        (".word 6, 0\n.long 4000\n", InputError, "the tags of its multiboot 2 header do not end"),
        (".word 6, 0\n.long 3\n", InputError, "the tags of its multiboot 2 header do not end"),
    ],
)
def test_tags_that_make_no_sense(tags: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        multiboot(multiboot2(tags))


def test_other_architectures() -> None:
    with pytest.raises(RefusedError, match="wrong architecture: a multiboot 2 image for MIPS"):
        multiboot(multiboot2("", architecture=4))


def test_what_32_bit_code_cannot_reach() -> None:
    data = bytearray(multiboot2("", bits=64))
    first = struct.unpack_from("<Q", data, 32)[0]
    struct.pack_into("<Q", data, first + 40, 1 << 32)  # p_memsz
    with pytest.raises(InputError, match="beyond 4 GiB"):
        multiboot(bytes(data))


def test_a_flat_file_with_a_header_but_no_address_is_no_kernel() -> None:
    for data in (multiboot2("", flat=True), multiboot1(0, flat=True)):
        with pytest.raises(UnknownFormatError):
            multiboot(data)


def test_plain_elf_is_no_multiboot() -> None:
    assert identify_bytes(memoryview(elf(32)), "kernel").kind == "elf-x86"
