"""What kexec_file_load tells the new kernel of the machine's firmware and its memory."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from support.kernels import MIB, new_kernel
from warmboot.kernel.arch.x86_64.e820 import e820_table_kexec
from warmboot.memmap import E820Entry, E820Type, Efi, EfiMemoryDescriptor, Facts, Firmware, Range
from warmboot.memmap.entries import iomem_of_e820
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import KexecFileFlags, KexecFileRequest

RAM = (Range(0, 0x9FC00), Range(MIB, 512 * MIB))
HOT = Range(4 << 30, (4 << 30) + 256 * MIB)
EFI_INFO = struct.Struct("<4s7I")
EFI = Efi(
    b"EL64",
    0x1F80_0018,
    (
        EfiMemoryDescriptor(5, 0x1F00_0000, 0xFFFF_FFFE_F000_0000, 256, 1 << 63 | 15),
        EfiMemoryDescriptor(6, 0x1F10_0000, 0xFFFF_FFFE_F010_0000, 16, 1 << 63 | 15),
    ),
    fw_vendor=0x1F80_0100,
    runtime=0,
    config_table=0x1F80_0200,
    memdesc_size=48,
)


def zero_page(ram: tuple[Range, ...] = RAM, *, count: int | None = None, efi_memmap_size: int = 0) -> bytes:
    """A running kernel's own boot parameters."""
    page = bytearray(4096)
    page[0x1E8] = len(ram) if count is None else count
    for number, each in enumerate(ram):
        struct.pack_into("<QQI", page, 0x2D0 + 20 * number, each.start, each.size, E820Type.RAM)
    struct.pack_into("<I", page, 0x1D4, efi_memmap_size)
    return bytes(page)


def entries(*ram: Range) -> list[E820Entry]:
    return [E820Entry(each, E820Type.RAM) for each in ram]


def machine(*ram: Range) -> Facts:
    return replace(Facts.of_pc(512 * MIB), firmware_memmap=iomem_of_e820(entries(*ram)))


def test_memory_that_was_added_later_is_not_handed_on() -> None:
    assert e820_table_kexec(machine(*RAM, HOT), Firmware(zero_page())) == entries(*RAM)
    assert e820_table_kexec(machine(*RAM, HOT), Firmware(zero_page((*RAM, HOT)))) == entries(*RAM, HOT)


@pytest.mark.parametrize("page", [b"", zero_page(count=0), zero_page(count=128), zero_page()[:-1]])
def test_where_the_boot_parameters_do_not_tell_all_of_it_firmware_s_map_counts(page: bytes) -> None:
    assert e820_table_kexec(machine(*RAM, HOT), Firmware(page)) == entries(*RAM, HOT)


def test_without_firmware_s_map_the_boot_parameters_tell_it() -> None:
    facts = Facts.of_pc(256 * MIB)
    assert e820_table_kexec(facts, Firmware(zero_page(RAM[::-1]))) == entries(*RAM)
    assert e820_table_kexec(facts) == facts.e820


def test_setup_data_of_a_boot_loader_is_marked() -> None:
    """But not a random seed, nor EFI's: kexec_file_load makes those anew."""
    seed, tree = Range(0x13F00, 0x13F00 + 48), Range(0x14000, 0x14000 + 1016)
    low = Range(0, 0x9FC00)
    pieces = (Range(0, 0x13F00), seed, Range(seed.end, tree.start), tree, Range(tree.end, low.end), RAM[1])
    facts = replace(
        machine(*RAM), iomem="".join(f"{each.start:08x}-{each.end - 1:08x} : System RAM\n" for each in pieces)
    )
    firmware = Firmware(zero_page(), setup_data=((9, 32), (2, 1000)))
    assert e820_table_kexec(facts, firmware) == entries(*RAM)
    assert e820_table_kexec(facts, firmware, marks_setup_data=True) == [
        E820Entry(Range(0, tree.start), E820Type.RAM),
        E820Entry(tree, E820Type.RESERVED_KERN),
        E820Entry(Range(tree.end, low.end), E820Type.RAM),
        E820Entry(RAM[1], E820Type.RAM),
    ]


def parameters_with(firmware: Firmware) -> bytes:
    """What a kernel finds that is loaded on such a machine."""
    with new_kernel(512 * MIB) as kernel:
        kernel.booted.firmware = firmware
        request = KexecFileRequest(memoryview(demo_kernel()), 0, b"quiet\0", KexecFileFlags.NO_INITRAMFS)
        kernel.kexec_file_load(request)
        assert kernel.kexec_image is not None
        told = next(each for each in kernel.kexec_image.segment if each.name == "boot parameters")
        return b"".join(told.buf.pieces(0, told.bufsz))


def test_efi_s_map_has_descriptors_of_firmware_s_size() -> None:
    page = parameters_with(Firmware(zero_page(), efi=EFI))
    signature, _, size, version, _, total, *_ = EFI_INFO.unpack_from(page, 0x1C0)
    assert (signature, size, version, total) == (b"EL64", 48, 1, 96)
    start = page.index(EFI.memmap[0].pack())
    assert page[start + 40 : start + 48] == bytes(8)
    assert page[start + 48 : start + 88] == EFI.memmap[1].pack()


def test_where_efi_s_services_are_off_there_is_room_for_its_first_map() -> None:
    without, with_room = (parameters_with(Firmware(zero_page(efi_memmap_size=size))) for size in (0, 96 * 48 + 8))
    assert not any(with_room[0x1C0:0x1E0])
    assert len(with_room) - len(without) == 96 * 48 + 16
