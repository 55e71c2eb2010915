"""What kexec_file_load tells the new kernel: setup_boot_parameters and its parts of kexec-bzimage64.c.

All of it is one buffer: struct boot_params, the command line, EFI's memory map, and the setup_data list. The room for
each kind of setup_data is kept whether there is any or not, as Linux keeps it, so that addresses come out the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from warmboot.kernel.arch.x86_64.e820 import E820_MAX_ENTRIES_ZEROPAGE
from warmboot.memmap import E820Entry, E820Type
from warmboot.memmap.firmware import EDD_ENTRY_SIZE, Efi

if TYPE_CHECKING:
    from warmboot.kernel.kho import Kho
    from warmboot.kernel.kimage import FileParts
    from warmboot.kernel.state import KernelState

__all__ = ["MAX_ELFCOREHDR_STR_LEN", "BootParameters"]

MAX_ELFCOREHDR_STR_LEN = 30  # elfcorehdr=0x and 16 digits
_BOOT_PARAMS_SIZE = 4096
_ALIGN = 16
_SETUP_DATA = struct.Struct("<QII")  # next, type, len
_EFI_SETUP_DATA = struct.Struct("<QxxxxxxxxQQ64x")  # fw_vendor, unused, tables, smbios, reserved
_SETUP_DTB, _SETUP_EFI, _SETUP_IMA, _SETUP_RNG_SEED, _SETUP_KEXEC_KHO = 2, 4, 8, 9, 10
_EFI_SIZE, _IMA_SIZE, _KHO_SIZE, _RNG_SEED_LENGTH = 96, 16, 32, 32
_HDR, _HDR_END = 0x1F1, 0x290  # struct setup_header; behind it struct boot_params has something else
_EDD_MBR_SIG_MAX, _EDDMAXNR = 16, 6
_LOADER_KEXEC = 0x0D << 4
_MIB = 1 << 20
_U32 = 0xFFFF_FFFF


@dataclass(slots=True)
class BootParameters:
    """The buffer while it is made: sizes first, then, once it has a place, its bytes."""

    kernel: KernelState
    command_line: bytes  # with its final zero, without elfcorehdr=
    elfcorehdr: int | None = None  # of a crash image: where its ELF core headers lie
    e820: Sequence[E820Entry] = ()
    _chain: int = field(default=0, init=False)  # hdr.setup_data: the physical address of the newest

    @property
    def _efi(self) -> Efi | None:
        return self.kernel.booted.firmware.efi

    @property
    def _efi_map(self) -> bytes:
        efi = self._efi
        return b"".join(each.pack().ljust(efi.memdesc_size, b"\0") for each in efi.memmap) if efi else b""

    @property
    def _efi_map_room(self) -> int:
        """efi_get_runtime_map_size: where firmware's services are not used, there is room for its first map."""
        running = self.kernel.booted.firmware.boot_params
        if self._efi is None and running:
            return int.from_bytes(running[0x1D4:0x1D8], "little")  # efi_memmap_size
        return len(self._efi_map)

    def _config(self, name: str) -> bool:
        config = self.kernel.facts.kernel_config or {}
        return config.get(name) == "y"

    @property
    def _dtb(self) -> bytes:
        return self.kernel.booted.dtb

    @property
    def _kho_compiled(self) -> bool:
        return self._config("CONFIG_KEXEC_HANDOVER") or self.kernel.kho is not None

    @property
    def _first(self) -> int:
        """Offset of EFI's memory map, behind the command line."""
        return _aligned(_BOOT_PARAMS_SIZE + len(self.command_line) + MAX_ELFCOREHDR_STR_LEN)

    @property
    def size(self) -> int:
        """Bytes of the buffer."""
        header = _SETUP_DATA.size
        size = self._first + _aligned(self._efi_map_room) + header + _EFI_SIZE
        if self.kernel.profile.passes_rng_seed:
            size += header + _RNG_SEED_LENGTH
        if self._dtb:
            size += header + len(self._dtb)
        if self._config("CONFIG_IMA_KEXEC"):
            size += header + _IMA_SIZE
        if self._kho_compiled:
            size += header + _KHO_SIZE
        return size

    def pack(self, header: memoryview, address: int, initrd: tuple[int, int], parts: FileParts) -> bytes:
        """The bytes for physical `address`; `header` is the kernel file, `initrd` its address and size, 0 for none."""
        page = bytearray(self.size)
        end = min(0x202 + header[0x201], _HDR_END)
        page[_HDR:end] = header[_HDR:end]
        self._put_initrd(page, *initrd)
        line = self.full_command_line
        page[_BOOT_PARAMS_SIZE : _BOOT_PARAMS_SIZE + len(line)] = line
        where = address + _BOOT_PARAMS_SIZE
        struct.pack_into("<I", page, 0x228, where & _U32)
        struct.pack_into("<I", page, 0x0C8, where >> 32)
        page[0x210], page[0x211] = _LOADER_KEXEC, 0
        self._chain = struct.unpack_from("<Q", page, 0x250)[0]  # what the file has: 0 in every kernel that is built
        self._put_running(page)
        self._put_memory(page)
        self._put_setup_data(page, address, parts)
        struct.pack_into("<Q", page, 0x250, self._chain)
        return bytes(page)

    @property
    def full_command_line(self) -> bytes:
        """The command line, with the crash kernel's parameter before it, and its final zero."""
        if self.elfcorehdr is None:
            return self.command_line
        words = b"elfcorehdr=0x%x " % self.elfcorehdr
        return words + self.command_line if self.command_line else words[:-1] + b"\0"

    @staticmethod
    def _put_initrd(page: bytearray, start: int, size: int) -> None:
        struct.pack_into("<II", page, 0x218, start & _U32, size & _U32)
        struct.pack_into("<II", page, 0x0C0, start >> 32, size >> 32)

    def _put_running(self, page: bytearray) -> None:
        """What comes from the running kernel's own parameters."""
        firmware, running = self.kernel.booted.firmware, self.kernel.booted.firmware.boot_params
        page[:0x40] = (firmware.screen_info or running[:0x40]).ljust(0x40, b"\0")
        page[0x02:0x04] = bytes(2)  # ext_mem_k, until memory is told
        if running:
            page[0x23C:0x240] = running[0x23C:0x240]  # hardware_subarch
            page[0x70:0x78] = running[0x70:0x78]  # acpi_rsdp_addr
        if not any(page[0x70:0x78]):
            struct.pack_into("<Q", page, 0x70, self.kernel.facts.rsdp)
        edd, signatures = firmware.edd[:_EDDMAXNR], firmware.edd_mbr_signatures[:_EDD_MBR_SIG_MAX]
        page[0x1E9] = len(edd)
        struct.pack_into(f"<{len(signatures)}I", page, 0x290, *signatures)
        page[0xD00 : 0xD00 + EDD_ENTRY_SIZE * len(edd)] = b"".join(edd)

    def _put_memory(self, page: bytearray) -> None:
        entries = self.e820[:E820_MAX_ENTRIES_ZEROPAGE]  # more are lost
        page[0x1E8] = len(entries)
        for number, each in enumerate(entries):
            page[0x2D0 + 20 * number : 0x2D0 + 20 * (number + 1)] = each.pack()
            last = each.range.end - 1
            if each.type is E820Type.RAM and each.range.start <= _MIB < last:
                mem_k = (last >> 10) - (_MIB >> 10)
                struct.pack_into("<H", page, 0x02, min(mem_k, 0xFC00) & 0xFFFF)  # screen_info.ext_mem_k
                struct.pack_into("<I", page, 0x1E0, min(mem_k, _U32))  # alt_mem_k

    def _put_setup_data(self, page: bytearray, address: int, parts: FileParts) -> None:
        kernel, efi = self.kernel, self._efi
        at = self._first + _aligned(self._efi_map_room)
        if efi is not None:
            self._put_efi(page, efi, address)
            data = _EFI_SETUP_DATA.pack(efi.fw_vendor, efi.config_table, efi.smbios)
            self._add(page, address, at, _SETUP_EFI, data)
        at += _SETUP_DATA.size + _EFI_SIZE
        if self._dtb:
            self._add(page, address, at, _SETUP_DTB, self._dtb)
            at += _SETUP_DATA.size + len(self._dtb)
        if self._config("CONFIG_IMA_KEXEC"):  # no measurements are known of a machine
            at += _SETUP_DATA.size + _IMA_SIZE
        if self._kho_compiled:
            self._put_kho(page, address, at, kernel.kho, parts)
            at += _SETUP_DATA.size + _KHO_SIZE
        if kernel.profile.passes_rng_seed and kernel.booted.random is not None:
            self._add(page, address, at, _SETUP_RNG_SEED, kernel.booted.random(_RNG_SEED_LENGTH))

    def _put_kho(self, page: bytearray, address: int, at: int, kho: Kho | None, parts: FileParts) -> None:
        scratch = parts.kho_scratch
        if kho is None or scratch is None or not kho.fdt:
            _SETUP_DATA.pack_into(page, at, 0, _SETUP_KEXEC_KHO, _KHO_SIZE)  # a type without a place in the list
            return
        data = struct.pack("<4Q", kho.fdt, 4096, scratch.mem, scratch.bufsz)
        self._add(page, address, at, _SETUP_KEXEC_KHO, data)

    def _put_efi(self, page: bytearray, efi: Efi, address: int) -> None:
        """struct efi_info; the firmware's map of what it needs at run time lies behind the command line."""
        data, offset = self._efi_map, self._first
        page[offset : offset + len(data)] = data
        if self.kernel.booted.firmware.boot_params:
            page[0x1EC] = self.kernel.booted.firmware.boot_params[0x1EC]  # secure_boot
        where = address + offset if data else 0
        size = efi.memdesc_size if data else 0
        values = (efi.systab & _U32, size, efi.memdesc_version, where & _U32, len(data), efi.systab >> 32, where >> 32)
        struct.pack_into("<4s7I", page, 0x1C0, efi.loader_signature, *values)

    def _add(self, page: bytearray, address: int, at: int, kind: int, data: bytes) -> None:
        """One more setup_data, before those that are there."""
        _SETUP_DATA.pack_into(page, at, self._chain, kind, len(data))
        page[at + _SETUP_DATA.size : at + _SETUP_DATA.size + len(data)] = data
        self._chain = address + at


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
