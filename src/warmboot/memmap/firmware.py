"""Firmware: what a running kernel knows of the firmware that started it, and hands on to the kernel it starts.

Nothing of it can be asked for again once firmware's boot services are gone, so a kernel that is started by kexec has
it from its predecessor or not at all. All addresses are physical unless said otherwise.
"""

from __future__ import annotations

import struct

from warmboot.memmap.ranges import Range
from warmboot.records import dataclass

__all__ = ["EDD_ENTRY_SIZE", "EFI_DESCRIPTOR_VERSION", "Efi", "EfiMemoryDescriptor", "Firmware", "FrameBuffer"]

EDD_ENTRY_SIZE = 82  # bytes of struct edd_info (include/uapi/linux/edd.h)
EFI_DESCRIPTOR_VERSION = 1  # EFI_MEMORY_DESCRIPTOR_VERSION: the only one that UEFI has
_EFI_PAGE_SIZE = 4096
_DESCRIPTOR = struct.Struct("<IIQQQQ")


@dataclass(frozen=True, slots=True)
class EfiMemoryDescriptor:
    """EFI_MEMORY_DESCRIPTOR: a range of firmware's runtime memory, and the virtual address it was given for good."""

    type: int
    phys_addr: int
    virt_addr: int
    num_pages: int
    attribute: int

    @property
    def range(self) -> Range:
        """The physical bytes."""
        return Range(self.phys_addr, self.phys_addr + self.num_pages * _EFI_PAGE_SIZE)

    def pack(self) -> bytes:
        """The descriptor as kernels read it, 40 bytes."""
        return _DESCRIPTOR.pack(self.type, 0, self.phys_addr, self.virt_addr, self.num_pages, self.attribute)


@dataclass(frozen=True, slots=True)
class Efi:
    """EFI firmware after ExitBootServices and SetVirtualAddressMap, which nobody can call a second time."""

    loader_signature: bytes  # efi_loader_signature: b"EL64" or b"EL32"
    systab: int  # the EFI system table
    memmap: tuple[EfiMemoryDescriptor, ...]  # /sys/firmware/efi/runtime-map
    fw_vendor: int
    runtime: int
    config_table: int
    smbios: int = 0
    memdesc_version: int = EFI_DESCRIPTOR_VERSION
    memdesc_size: int = 40  # bytes from one of firmware's descriptors to the next, as kexec_file_load hands them on


@dataclass(frozen=True, slots=True)
class FrameBuffer:
    """A linear frame buffer; colours as (position of the lowest bit, bits)."""

    address: int
    pitch: int  # bytes of a line
    width: int
    height: int
    bits_per_pixel: int
    red: tuple[int, int]
    green: tuple[int, int]
    blue: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Firmware:
    """What is handed on. An empty one says: legacy firmware, of which nothing is known.

    `boot_params` is the running kernel's own zero page, or empty; `screen_info` are the 64 bytes of
    struct screen_info for the next kernel, or empty for that of `boot_params`; `edd` are struct edd_info; `rsdp` is
    ACPI's root pointer itself, 20 or 36 bytes, or empty where it cannot be read; `setup_data` are type and size, in
    bytes, of what the boot loader gave the running kernel.
    """

    boot_params: bytes = b""
    screen_info: bytes = b""
    frame_buffer: FrameBuffer | None = None
    efi: Efi | None = None
    edd: tuple[bytes, ...] = ()
    edd_mbr_signatures: tuple[int, ...] = ()
    rsdp: bytes = b""
    setup_data: tuple[tuple[int, int], ...] = ()
