"""The computer's EFI firmware: which there is, the stub that ends its boot services, and what it leaves in memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from warmboot.errors import InputError, RefusedError
from warmboot.kernel import PhysicalMemory
from warmboot.machines.arch.interface import FirmwareTold
from warmboot.machines.arch.x86_64.mailbox import Mailbox
from warmboot.memmap import Efi, EfiMemoryDescriptor, Range, merge
from warmboot.stubs.stub import stub

__all__ = [
    "EFI_ROOM",
    "FIRMWARE_VARIABLE",
    "INSTALL_HINT",
    "STUB_SIZE",
    "EfiMailbox",
    "efi_application",
    "find_firmware",
]

EFI_ROOM = 0x20000  # physical: what efi_stub.S takes
STUB_SIZE = 0x1B000  # bytes, see ROOM_PAGES there
FIRMWARE_VARIABLE = "WARMBOOT_OVMF"
INSTALL_HINT = "apt-get install ovmf"

# OVMF as one image, code and variables, which is what QEMU's -bios takes: Debian's, openSUSE's, Arch's.
_PLACES = (
    "/usr/share/ovmf/OVMF.fd",
    "/usr/share/OVMF/OVMF.fd",
    "/usr/share/qemu/OVMF.fd",
    "/usr/share/edk2/x64/OVMF.4m.fd",
    "/usr/share/edk2/x64/OVMF.fd",
    "/usr/share/edk2-ovmf/x64/OVMF.fd",
)

# UEFI specification 2.10: 7.2 memory types and attributes, 4.3 the system table, 4.6 the configuration table
_DESCRIPTOR = struct.Struct("<IIQQQQ")
_FREE_TYPES = (1, 2, 3, 4, 7)  # loader's, boot services', conventional
_RUNTIME = 1 << 63
_SYSTEM_TABLE = struct.Struct("<8sIIIIQIIQQQQQQQQQQ")
_SYSTEM_TABLE_SIGNATURE = b"IBI SYST"
_CONFIGURATION = struct.Struct("<16sQ")
_ACPI_20 = UUID("8868e871-e4f1-11d3-bc22-0080c73c8881")
_ACPI_10 = UUID("eb9d2d30-2d88-11d3-9a16-0090273fc14d")
_SMBIOS = UUID("eb9d2d31-2d88-11d3-9a16-0090273fc14d")
_MOST_TABLES = 256
_KEPT_OF_A_TABLE = 4 * 4096  # bytes: such as of the memory attributes table, which lies in boot services' memory
_PAGE = 4096


def find_firmware() -> Path | None:
    """EFI firmware: what the environment's WARMBOOT_OVMF names, else that of a package; None where there is none.

    Raises InputError where that variable names no file.
    """
    if named := os.environ.get(FIRMWARE_VARIABLE):
        if not Path(named).is_file():
            raise InputError(
                f"{FIRMWARE_VARIABLE}={named}: not a file", hint=f"name an OVMF.fd, or unset {FIRMWARE_VARIABLE}"
            )
        return Path(named)
    return next((path for path in map(Path, _PLACES) if path.is_file()), None)


def efi_application() -> bytes:
    """The stub as QEMU's -kernel takes it and firmware runs it."""
    return stub(__file__, "efi_stub")


class EfiMailbox(Mailbox):
    """The mailbox of that stub."""

    def __init__(self, memory_fd: int) -> None:
        super().__init__(memory_fd, EFI_ROOM)

    def told(self, memory: PhysicalMemory) -> FirmwareTold:
        told = self.efi()
        try:
            data = memory.read(told.memory_map, told.memory_map_size)
            descriptors = list(_descriptors(data, told.descriptor_size))
            header = _SYSTEM_TABLE.unpack(memory.read(told.systab, _SYSTEM_TABLE.size))
            fw_vendor, runtime, config_table = (_physical(header[each], descriptors) for each in (5, -4, -1))
            tables = {guid: _physical(at, descriptors) for guid, at in _tables(memory, header[-2], config_table)}
        except ValueError as error:  # an address where there is no memory, or a size that is none
            raise _nonsense(str(error)) from None
        if header[0] != _SYSTEM_TABLE_SIGNATURE:
            raise _nonsense(f"no system table at {told.systab:#x}")
        kept = [each.range for each in descriptors if each.type not in _FREE_TYPES]
        kept += [Range(at // _PAGE * _PAGE, at // _PAGE * _PAGE + _KEPT_OF_A_TABLE) for at in tables.values()]
        return FirmwareTold(
            rsdp=tables.get(_ACPI_20, tables.get(_ACPI_10, 0)),
            kept=tuple(merge(kept)),
            efi=Efi(
                loader_signature=b"EL64",
                systab=told.systab,
                memmap=tuple(each for each in descriptors if each.attribute & _RUNTIME),
                fw_vendor=fw_vendor,
                runtime=runtime,
                config_table=config_table,
                smbios=tables.get(_SMBIOS, 0),
                memdesc_version=told.descriptor_version,
                memdesc_size=told.descriptor_size,
            ),
        )


def _descriptors(data: bytes, size: int) -> Iterator[EfiMemoryDescriptor]:
    """EFI's memory map. Raises ValueError."""
    if size < _DESCRIPTOR.size:
        raise ValueError(f"descriptors of {size} bytes")
    for at in range(0, len(data) - _DESCRIPTOR.size + 1, size):
        kind, _, physical, virtual, pages, attribute = _DESCRIPTOR.unpack_from(data, at)
        yield EfiMemoryDescriptor(kind, physical, virtual, pages, attribute)


def _physical(address: int, descriptors: list[EfiMemoryDescriptor]) -> int:
    """Where a pointer of the system table leads, which SetVirtualAddressMap has made a virtual address."""
    for each in descriptors:
        if each.virt_addr and each.virt_addr <= address < each.virt_addr + each.range.size:
            return address - each.virt_addr + each.phys_addr
    return address


def _tables(memory: PhysicalMemory, count: int, address: int) -> Iterator[tuple[UUID, int]]:
    """The configuration tables: GUID and physical address. Raises ValueError."""
    if count > _MOST_TABLES:
        raise ValueError(f"{count} configuration tables")
    for guid, table in _CONFIGURATION.iter_unpack(memory.read(address, count * _CONFIGURATION.size)):
        yield UUID(bytes_le=guid), table


def _nonsense(what: str) -> RefusedError:
    return RefusedError(
        f"EFI firmware left what cannot be read: {what}", hint=f"name another OVMF.fd by {FIRMWARE_VARIABLE}"
    )
