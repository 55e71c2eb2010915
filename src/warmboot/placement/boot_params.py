"""struct boot_params, the "zero page": what the 64-bit boot protocol tells a kernel (boot.rst, zero-page.rst)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.images import BzImage, LoadFlags
from warmboot.memmap import E820Entry
from warmboot.uapi import PAGE_SIZE

__all__ = ["E820_MAX_ENTRIES_ZEROPAGE", "BootParams", "setup_data_size"]

E820_MAX_ENTRIES_ZEROPAGE = 128
_SETUP_E820_EXT = 1  # boot protocol 2.09
_SETUP_RNG_SEED = 9  # Linux 6.0
_SETUP_DATA = struct.Struct("<QII")  # next, type, len
_LOADER_KEXEC = 0xD0  # type_of_loader: 0xD is kexec-tools, 0 its version
_END_OF_SETUP_HEADER = 0x290  # struct boot_params has something else from there on
_ALIGN = 16


def setup_data_size(e820: Sequence[E820Entry], rng_seed: bytes) -> int:
    """Bytes that the setup_data list will take behind the command line."""
    return sum(_SETUP_DATA.size + len(data) + _ALIGN for _, data in _setup_data(e820, rng_seed))


def _setup_data(e820: Sequence[E820Entry], rng_seed: bytes) -> list[tuple[int, bytes]]:
    data = []
    if len(e820) > E820_MAX_ENTRIES_ZEROPAGE:
        more = b"".join(entry.pack() for entry in e820[E820_MAX_ENTRIES_ZEROPAGE:])
        data.append((_SETUP_E820_EXT, more))
    if rng_seed:
        data.append((_SETUP_RNG_SEED, rng_seed))
    return data


@dataclass(frozen=True, slots=True)
class BootParams:
    """The parameters of one boot. Addresses are physical; the initrd's size is in bytes."""

    image: BzImage
    command_line: bytes  # without its final zero
    e820: Sequence[E820Entry]
    initrd: int = 0
    initrd_size: int = 0
    rsdp: int = 0
    rng_seed: bytes = b""

    @property
    def size(self) -> int:
        """Bytes of the zero page, the command line and the setup_data list."""
        return PAGE_SIZE + len(self.command_line) + 1 + _ALIGN + setup_data_size(self.e820, self.rng_seed)

    def pack(self, address: int) -> bytes:
        """The bytes to load at `address`: zero page, command line, setup_data."""
        command_line = address + PAGE_SIZE
        first_data = -(-(command_line + len(self.command_line) + 1) // _ALIGN) * _ALIGN
        chain = self._pack_setup_data(first_data)
        page = self._pack_zero_page(command_line, first_data if chain else 0)
        return page + self.command_line.ljust(first_data - command_line, b"\0") + chain

    def _pack_setup_data(self, address: int) -> bytes:
        chain = b""
        items = _setup_data(self.e820, self.rng_seed)
        for number, (kind, data) in enumerate(items):
            padded = data.ljust(-(-len(data) // _ALIGN) * _ALIGN, b"\0")
            here = address + len(chain)
            following = here + _SETUP_DATA.size + len(padded) if number + 1 < len(items) else 0
            chain += _SETUP_DATA.pack(following, kind, len(data)) + padded
        return chain

    def _pack_zero_page(self, command_line: int, setup_data: int) -> bytes:
        page = bytearray(PAGE_SIZE)
        header = self.image.setup
        end_of_header = min(0x202 + header[0x201], _END_OF_SETUP_HEADER)
        page[0x1F1:end_of_header] = header[0x1F1:end_of_header]

        def put(offset: int, form: str, value: int) -> None:
            struct.pack_into("<" + form, page, offset, value)

        put(0x070, "Q", self.rsdp)  # acpi_rsdp_addr, protocol 2.14
        put(0x0C0, "I", self.initrd >> 32)  # ext_ramdisk_image
        put(0x0C4, "I", self.initrd_size >> 32)
        put(0x0C8, "I", command_line >> 32)  # ext_cmd_line_ptr
        put(0x210, "B", _LOADER_KEXEC)
        put(0x211, "B", (page[0x211] | LoadFlags.LOADED_HIGH) & ~LoadFlags.CAN_USE_HEAP)
        put(0x218, "I", self.initrd & 0xFFFF_FFFF)
        put(0x21C, "I", self.initrd_size & 0xFFFF_FFFF)
        put(0x228, "I", command_line & 0xFFFF_FFFF)
        put(0x250, "Q", setup_data)
        in_page = self.e820[:E820_MAX_ENTRIES_ZEROPAGE]
        put(0x1E8, "B", len(in_page))
        for number, entry in enumerate(in_page):
            page[0x2D0 + 20 * number : 0x2D0 + 20 * (number + 1)] = entry.pack()
        return bytes(page)
