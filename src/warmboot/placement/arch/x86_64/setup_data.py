"""The setup_data list: what a loader tells a kernel that has no room in the zero page (boot.rst, protocol 2.09)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

from warmboot.memmap.firmware import Efi
from warmboot.purgatory.stamps import STAMPS_TYPE

__all__ = ["SETUP_DATA_HEADER", "SetupType", "efi_setup_data", "pack_setup_data", "setup_data_size"]

_HEADER = struct.Struct("<QII")  # next, type, len
_EFI_SETUP_DATA = struct.Struct("<4Q64x")  # struct efi_setup_data: fw_vendor, runtime, tables, smbios, reserved
SETUP_DATA_HEADER = _HEADER.size
_ALIGN = 16


class SetupType(IntEnum):
    """enum setup_data_type, as far as a loader uses it."""

    E820_EXT = 1
    DTB = 2
    EFI = 4  # Linux 3.14
    RNG_SEED = 9  # Linux 6.0
    STAMPS = STAMPS_TYPE  # ours: Linux keeps it for user space


def efi_setup_data(efi: Efi) -> bytes:
    """What a kernel that is not the first to run on this firmware cannot find in the system table any more."""
    return _EFI_SETUP_DATA.pack(efi.fw_vendor, efi.runtime, efi.config_table, efi.smbios)


def setup_data_size(items: Sequence[tuple[SetupType, bytes | memoryview]]) -> int:
    """Bytes that the list takes from a multiple of 16 on."""
    return sum(_HEADER.size + _padded(len(data)) for _, data in items)


def pack_setup_data(items: Sequence[tuple[SetupType, bytes | memoryview]], address: int) -> bytes:
    """The list as it lies at physical `address`, a multiple of 16."""
    chain = b""
    for number, (kind, data) in enumerate(items):
        here = address + len(chain)
        following = here + _HEADER.size + _padded(len(data))
        chain += _HEADER.pack(following if number + 1 < len(items) else 0, kind, len(data))
        chain += bytes(data).ljust(_padded(len(data)), b"\0")
    return chain


def _padded(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
