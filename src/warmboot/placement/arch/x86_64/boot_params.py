"""struct boot_params, the "zero page": what the Linux boot protocols tell a kernel (boot.rst, zero-page.rst)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from warmboot.memmap.entries import E820Entry, E820Type
from warmboot.memmap.firmware import EDD_ENTRY_SIZE, Efi, Firmware
from warmboot.placement.arch.x86_64.setup_data import (
    SETUP_DATA_HEADER,
    SetupType,
    efi_setup_data,
    pack_setup_data,
    setup_data_size,
)
from warmboot.purgatory.stamps import STAMPS_OFFSET
from warmboot.records import dataclass, field
from warmboot.uapi import PAGE_SIZE

__all__ = ["E820_MAX_ENTRIES_ZEROPAGE", "BootParams", "synthetic_header"]

E820_MAX_ENTRIES_ZEROPAGE = 128
_EDD_MBR_SIG_MAX, _EDDMAXNR = 16, 6
_LOADER_KEXEC = 0xD0  # type_of_loader: 0xD is kexec-tools, 0 its version
_LOADED_HIGH, _CAN_USE_HEAP = 0x01, 0x80  # loadflags
_START_OF_HEADER, _END_OF_SETUP_HEADER = 0x1F1, 0x290  # struct boot_params has something else from there on
_ALIGN = 16
_SCREEN_INFO_SIZE = 64
_ORIG_VIDEO_ISVGA, _LINEAR = 0x0F, (0x23, 0x70)  # VIDEO_TYPE_VLFB, VIDEO_TYPE_EFI
_LFB_BASE, _EXT_LFB_BASE, _LFB = slice(0x18, 0x1C), slice(0x3A, 0x3E), slice(0x12, 0x40)
_MIB = 1 << 20


def synthetic_header(cmdline_size: int, initrd_addr_max: int) -> bytes:
    """The setup header for a kernel whose file has none: an ELF vmlinux. Its root is mounted read-only, as is usual."""
    header = bytearray(_END_OF_SETUP_HEADER)
    struct.pack_into("<BH", header, 0x1F1, 0, 1)  # setup_sects, root_flags
    struct.pack_into("<HH4sH", header, 0x1FE, 0xAA55, 0x6AEB, b"HdrS", 0x020F)  # the jump ends the header at 0x26c
    struct.pack_into("<I", header, 0x22C, initrd_addr_max)
    struct.pack_into("<I", header, 0x238, cmdline_size)
    return bytes(header)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootParams:
    """The parameters of one boot. Addresses are physical; the initrd's size is in bytes.

    `header` is the real-mode part of a kernel file, or its beginning, with the setup header; `spare` are bytes that
    stay free after the command line. `efi` is what of firmware's EFI the kernel shall hear.
    """

    header: bytes | memoryview
    command_line: bytes  # without its final zero
    e820: Sequence[E820Entry]
    initrd: int = 0
    initrd_size: int = 0
    rsdp: int = 0
    rng_seed: bytes = b""
    dtb: bytes | memoryview = b""
    firmware: Firmware = field(default_factory=Firmware)
    efi: Efi | None = None
    spare: int = 0
    stamps: bytes = b""  # a node of purgatory.stamps

    @property
    def size(self) -> int:
        """Bytes of the zero page, the command line, the setup_data list and EFI's memory map."""
        return self._first_data(0) + setup_data_size(self._setup_data()) + len(self._efi_memmap)

    def pack(self, address: int) -> bytes:
        """The bytes to load at `address`, a multiple of 16: zero page, command line, setup_data, EFI's memory map."""
        command_line, first_data = address + PAGE_SIZE, self._first_data(address)
        chain = pack_setup_data(self._setup_data(), first_data)
        page = bytearray(PAGE_SIZE)
        self._put_header(page, command_line, first_data if chain else 0)
        self._put_memory(page)
        self._put_firmware(page)
        if self.efi is not None:
            _put_efi(page, self.efi, first_data + len(chain), len(self._efi_memmap))
        return b"".join(
            (page, self.command_line.ljust(first_data - command_line, b"\0"), chain, self._efi_memmap),
        )

    def stamps_at(self, address: int) -> int:
        """The physical address of the stages' time stamps where all is loaded at `address`; 0 without them."""
        if not self.stamps:
            return 0
        end = self._first_data(address) + setup_data_size(self._setup_data())
        return end - setup_data_size([(SetupType.STAMPS, self.stamps)]) + SETUP_DATA_HEADER + STAMPS_OFFSET

    def _first_data(self, address: int) -> int:
        end = address + PAGE_SIZE + len(self.command_line) + 1 + self.spare
        return -(-end // _ALIGN) * _ALIGN

    def _setup_data(self) -> list[tuple[SetupType, bytes | memoryview]]:
        items: list[tuple[SetupType, bytes | memoryview]] = []
        if len(self.e820) > E820_MAX_ENTRIES_ZEROPAGE:
            more = b"".join(entry.pack() for entry in self.e820[E820_MAX_ENTRIES_ZEROPAGE:])
            items.append((SetupType.E820_EXT, more))
        if self.efi is not None:
            items.append((SetupType.EFI, efi_setup_data(self.efi)))
        if self.dtb:
            items.append((SetupType.DTB, self.dtb))
        if self.rng_seed:
            items.append((SetupType.RNG_SEED, self.rng_seed))
        if self.stamps:
            items.append((SetupType.STAMPS, self.stamps))  # the last: see stamps_at
        return items

    @property
    def _efi_memmap(self) -> bytes:
        return b"" if self.efi is None else b"".join(each.pack() for each in self.efi.memmap)

    def _put_header(self, page: bytearray, command_line: int, setup_data: int) -> None:
        end_of_header = min(0x202 + self.header[0x201], _END_OF_SETUP_HEADER)
        page[_START_OF_HEADER:end_of_header] = self.header[_START_OF_HEADER:end_of_header]
        struct.pack_into("<Q", page, 0x070, self.rsdp)  # acpi_rsdp_addr, protocol 2.14
        struct.pack_into("<I", page, 0x0C0, self.initrd >> 32)  # ext_ramdisk_image
        struct.pack_into("<I", page, 0x0C4, self.initrd_size >> 32)
        struct.pack_into("<I", page, 0x0C8, command_line >> 32)  # ext_cmd_line_ptr
        page[0x210] = _LOADER_KEXEC
        page[0x211] = (page[0x211] | _LOADED_HIGH) & ~_CAN_USE_HEAP
        struct.pack_into("<II", page, 0x218, self.initrd & 0xFFFF_FFFF, self.initrd_size & 0xFFFF_FFFF)
        struct.pack_into("<I", page, 0x228, command_line & 0xFFFF_FFFF)
        struct.pack_into("<Q", page, 0x250, setup_data)

    def _put_memory(self, page: bytearray) -> None:
        """The map, and for a kernel that cannot use it how much RAM there is from 1 MiB on, in KiB."""
        in_page = self.e820[:E820_MAX_ENTRIES_ZEROPAGE]
        page[0x1E8] = len(in_page)
        for number, entry in enumerate(in_page):
            page[0x2D0 + 20 * number : 0x2D0 + 20 * (number + 1)] = entry.pack()
        for entry in self.e820:
            if entry.type is E820Type.RAM and entry.range.start <= _MIB < entry.range.end:
                struct.pack_into("<I", page, 0x1E0, min((entry.range.end - _MIB) >> 10, 0xFFFF_FFFF))  # alt_mem_k

    def _put_firmware(self, page: bytearray) -> None:
        running, firmware = self.firmware.boot_params, self.firmware
        page[:_SCREEN_INFO_SIZE] = _screen(firmware.screen_info or running[:_SCREEN_INFO_SIZE])
        if running:
            page[0x23C:0x240] = running[0x23C:0x240]  # hardware_subarch
        if running and self.efi is not None:
            page[0x1EC] = running[0x1EC]  # secure_boot, which only firmware could tell
        edd, signatures = firmware.edd[:_EDDMAXNR], firmware.edd_mbr_signatures[:_EDD_MBR_SIG_MAX]
        page[0x1E9], page[0x1EA] = len(edd), len(signatures)
        struct.pack_into(f"<{len(signatures)}I", page, 0x290, *signatures)
        page[0xD00 : 0xD00 + EDD_ENTRY_SIZE * len(edd)] = b"".join(edd)


def _screen(told: bytes) -> bytes:
    """struct screen_info (include/uapi/linux/screen_info.h) for the new kernel.

    A linear frame buffer at address 0 is none: drivers that keep its address to themselves tell that, and a kernel
    that believed it would write over its own first memory.
    """
    info = bytearray(told.ljust(_SCREEN_INFO_SIZE, b"\0"))
    info[0x02:0x04] = bytes(2)  # ext_mem_k, of old
    info[0x20:0x24] = bytes(4)  # an older protocol's command line
    if info[_ORIG_VIDEO_ISVGA] in _LINEAR and not any((*info[_LFB_BASE], *info[_EXT_LFB_BASE])):
        info[_ORIG_VIDEO_ISVGA] = 0
        info[_LFB] = bytes(_LFB.stop - _LFB.start)
    return bytes(info)


def _put_efi(page: bytearray, efi: Efi, memmap: int, memmap_size: int) -> None:
    """struct efi_info, with the memory map at physical address `memmap`."""
    struct.pack_into(
        "<4s7I",
        page,
        0x1C0,
        efi.loader_signature,
        efi.systab & 0xFFFF_FFFF,
        memmap_size // len(efi.memmap),
        efi.memdesc_version,
        memmap & 0xFFFF_FFFF,
        memmap_size,
        efi.systab >> 32,
        memmap >> 32,
    )
