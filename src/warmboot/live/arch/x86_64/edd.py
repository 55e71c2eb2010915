"""EDD: what a legacy BIOS told of its disks (/sys/firmware/edd, include/uapi/linux/edd.h)."""

from __future__ import annotations

import struct

from warmboot.live.files import folder, number, read, text, under
from warmboot.memmap.firmware import EDD_ENTRY_SIZE
from warmboot.numbers import number as bounded

__all__ = ["read_edd"]

_FIRST_DISK = 0x80  # of int 13h
_EDDMAXNR = 6
_EDD_MBR_SIG_MAX = 16
_HEAD = struct.Struct("<BBHHBB")  # struct edd_info up to its params
_PARAMS_SIZE = EDD_ENTRY_SIZE - _HEAD.size  # bytes
_ZERO_PAGE = 4096  # bytes of struct boot_params, and what lies in it
_EDDBUF_ENTRIES, _EDD_MBR_SIG_BUF_ENTRIES, _EDD_MBR_SIG_BUFFER, _EDDBUF = 0x1E9, 0x1EA, 0x290, 0xD00
_EXTENSIONS = {
    "Fixed disk access": 1,
    "Device locking and ejecting": 2,
    "Enhanced Disk Drive support": 4,
    "64-bit extensions": 8,
}


Edd = tuple[tuple[bytes, ...], tuple[int, ...]]


def read_edd(boot_params: bytes, root: str = "/") -> Edd:
    """The struct edd_info of at most 6 disks, and the signatures of at most 16 boot sectors, by the disks' numbers.

    From /sys/firmware/edd; where the driver is not loaded or an entry is damaged, from the running kernel's zero page.
    """
    found = _from_sysfs(under(root, "sys/firmware/edd"))
    return found if any(found) else _from_zero_page(boot_params)


def _from_zero_page(page: bytes) -> Edd:
    if len(page) < _ZERO_PAGE:
        return (), ()
    count, signatures = min(page[_EDDBUF_ENTRIES], _EDDMAXNR), min(page[_EDD_MBR_SIG_BUF_ENTRIES], _EDD_MBR_SIG_MAX)
    return (
        tuple(page[_EDDBUF + EDD_ENTRY_SIZE * number :][:EDD_ENTRY_SIZE] for number in range(count)),
        struct.unpack_from(f"<{signatures}I", page, _EDD_MBR_SIG_BUFFER),
    )


def _from_sysfs(base: str) -> Edd:
    """The kernel finds a disk's signature at the disk's place, so one without has 0."""
    entries: list[bytes] = []
    signatures: list[int] = []
    try:
        for name in sorted(each for each in folder(base) if each.startswith("int13_dev")):
            disk = _known(bounded(name.removeprefix("int13_dev"), 16, most=0xFF), name)
            signature = number(f"{base}/{name}/mbr_signature")
            if signature is not None and 0 <= disk - _FIRST_DISK < _EDD_MBR_SIG_MAX:
                signatures += [0] * (disk - _FIRST_DISK - len(signatures)) + [signature]
            version = number(f"{base}/{name}/version")
            if version is not None:  # a disk after the sixth has a signature only
                entries.append(_entry(f"{base}/{name}", disk, version))
    except (OSError, ValueError, struct.error):
        return (), ()
    return tuple(entries[:_EDDMAXNR]), tuple(signatures)


def _entry(path: str, disk: int, version: int) -> bytes:
    """One struct edd_info. Raises OSError, ValueError or struct.error where the folder does not tell all of it."""
    if not version:  # the disk has no extensions
        return _HEAD.pack(disk, 0, 0, 0, 0, 0) + bytes(_PARAMS_SIZE)
    lines = (text(f"{path}/extensions") or "").split("\n")
    support = sum(bit for name, bit in _EXTENSIONS.items() if any(line.startswith(name) for line in lines))
    cylinder, head, sectors = (
        _known(number(f"{path}/legacy_{each}"), each) for each in ("max_cylinder", "max_head", "sectors_per_track")
    )
    params = read(f"{path}/raw_data")[:_PARAMS_SIZE]
    if len(params) < 2 or len(params) < int.from_bytes(params[:2], "little"):
        raise ValueError(f"{path}: raw_data is cut")
    return _HEAD.pack(disk, version, support, cylinder, head, sectors) + params.ljust(_PARAMS_SIZE, b"\0")


def _known(value: int | None, what: str) -> int:
    """Raises ValueError."""
    if value is None:
        raise ValueError(f"{what}: no number")
    return value
