"""What EFI firmware leaves in memory is read from there, and what makes no sense is told."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from warmboot.errors import RefusedError
from warmboot.kernel import PhysicalMemory
from warmboot.machines.arch.x86_64.efi import EFI_ROOM, EfiMailbox, efi_application
from warmboot.memmap import Range

MIB = 1 << 20
SYSTAB, KEPT, TABLES, MAP = 0x100000, 0x20_0000, 0x20_1000, 0x102000
ACPI_20 = UUID("8868e871-e4f1-11d3-bc22-0080c73c8881")
SMBIOS = UUID("eb9d2d31-2d88-11d3-9a16-0090273fc14d")
VIRTUAL = 0xFFFF_FFFE_FFE0_0000  # where the runtime range is mapped
RUNTIME = 1 << 63


@pytest.fixture
def memory() -> Iterator[PhysicalMemory]:
    with PhysicalMemory([Range(0, 16 * MIB)]) as memory:
        yield memory


def leave(memory: PhysicalMemory, *, tables: int = 2, size: int = 48, signature: bytes = b"IBI SYST") -> EfiMailbox:
    """A system table, two configuration tables, a memory map, and what the stub says of them."""
    mailbox = EfiMailbox(memory.fd)
    fw_vendor, runtime, found = (VIRTUAL + each - KEPT for each in (0x20_7777, 0x20_5000, TABLES))
    memory.write(
        SYSTAB, struct.pack("<8sIIIIQII6QQQQQ", signature, 0, 0, 0, 0, fw_vendor, *[0] * 8, runtime, 0, tables, found)
    )
    memory.write(
        TABLES, b"".join(g.bytes_le + struct.pack("<Q", a) for g, a in ((ACPI_20, 0x9014), (SMBIOS, 0x60_0010)))
    )
    map_ = [
        (7, 0, 0, 16, 0xF),
        (6, KEPT, VIRTUAL, 16, RUNTIME | 0xF),
        (9, 0x30_0000, 0, 2, 0xF),
        (0, 0x40_0000, 0, 1, 0),
        (4, 0x50_0000, 0, 256, 0xF),
    ]
    data = b"".join(struct.pack("<IIQQQQ", each[0], 0, *each[1:]).ljust(48, b"\0") for each in map_)
    memory.write(MAP, data)
    memory.write(EFI_ROOM + 216, struct.pack("<5Q", SYSTAB, MAP, len(data), size, 1))
    return mailbox


def test_what_firmware_leaves(memory: PhysicalMemory) -> None:
    told = leave(memory).told(memory)
    assert told.rsdp == 0x9014
    # Its own types, and the beginnings of its tables wherever they are.
    assert told.kept == (
        Range(0x9000, 0xD000),
        Range(0x20_0000, 0x21_0000),
        Range(0x30_0000, 0x30_2000),
        Range(0x40_0000, 0x40_1000),
        Range(0x60_0000, 0x60_4000),
    )
    assert told.efi is not None
    assert (told.efi.systab, told.efi.fw_vendor, told.efi.runtime) == (SYSTAB, 0x20_7777, 0x20_5000)
    assert (told.efi.config_table, told.efi.smbios, told.efi.loader_signature) == (TABLES, 0x60_0010, b"EL64")
    assert [(each.range, each.virt_addr) for each in told.efi.memmap] == [(Range(0x20_0000, 0x21_0000), VIRTUAL)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tables": 1 << 40}, "configuration tables"),
        ({"size": 8}, "descriptors of 8 bytes"),
        ({"signature": b"HELLO   "}, "no system table"),
    ],
)
def test_what_makes_no_sense_is_told(memory: PhysicalMemory, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        leave(memory, **changes).told(memory)
    assert "WARMBOOT_OVMF" in caught.value.hint


def test_an_address_without_memory_is_told(memory: PhysicalMemory) -> None:
    mailbox = leave(memory)
    memory.write(EFI_ROOM + 216, struct.pack("<Q", 1 << 40))
    with pytest.raises(RefusedError, match="no memory at"):
        mailbox.told(memory)


def test_the_application_is_what_firmware_and_qemu_take() -> None:
    """A PE32+ for EFI, of one section that is a page; and for QEMU a bzImage whose kernel is that page."""
    file = efi_application()
    pe = struct.unpack_from("<I", file, 0x3C)[0]
    assert (file[:2], file[pe : pe + 6]) == (b"MZ", b"PE\0\0\x64\x86")
    optional = pe + 24
    entry = struct.unpack_from("<I", file, optional + 16)[0]
    assert 0x1000 < entry < 0x2000 == len(file)
    assert struct.unpack_from("<H", file, optional + 68) == (10,)  # IMAGE_SUBSYSTEM_EFI_APPLICATION
    assert file[0x202:0x206] == b"HdrS"
    assert (file[0x1F1] + 1) * 512 == 0x1000
