"""PE files: their sections, how far those reach, and signatures."""

from __future__ import annotations

import struct

import pytest

from support.formats import from_debian, pe
from warmboot.formats.pe import X86_64, certificate_table, extent, machine, sections

SECTIONS = [(".linux", b"kernel" * 200), (".initrd", b"initrd")]


def test_sections_and_how_far_they_reach() -> None:
    data = memoryview(pe(SECTIONS))
    assert machine(data) == X86_64
    assert [(each.name, bytes(each.data)) for each in sections(data)] == SECTIONS
    assert extent(data) == data.nbytes
    assert extent(data[:0x200]) == data.nbytes  # the headers say it
    assert extent(data[:0x180]) is None


def test_more_sections_than_microsoft_s_loader_takes() -> None:
    """UAPI.5 has no limit on profiles, and EFI none on sections."""
    data = memoryview(pe([(".profile", b"ID=a")] * 300))
    assert len(sections(data)) == 300


def test_what_is_no_pe_file() -> None:
    for data in (b"", b"MZ", b"MZ".ljust(0x40, b"\xff"), pe(SECTIONS)[:0x50], b"ELF" * 100):
        assert (machine(memoryview(data)), sections(memoryview(data)), extent(memoryview(data))) == (None, [], None)
        assert certificate_table(memoryview(data)) is None


def test_signatures() -> None:
    stub = from_debian("systemd-boot-efi", "usr/lib/systemd/boot/efi/linuxx64.efi.stub").read_bytes()
    assert certificate_table(memoryview(stub)) is None
    data = bytearray(pe(SECTIONS))
    optional = struct.unpack_from("<I", data, 0x3C)[0] + 24
    struct.pack_into("<I", data, optional + 108, 16)  # NumberOfRvaAndSizes
    assert certificate_table(memoryview(data)) is None
    struct.pack_into("<II", data, optional + 112 + 4 * 8, len(data), 1234)
    assert certificate_table(memoryview(data)) == (len(data), 1234)


@pytest.mark.parametrize("size", range(0, 0x200, 13))
def test_cut_anywhere(size: int) -> None:
    data = memoryview(pe(SECTIONS))[:size]
    assert len(sections(data)) <= 2
    certificate_table(data)
