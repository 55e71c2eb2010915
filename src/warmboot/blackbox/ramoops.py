"""The page of a black box in ramoops' region, which the running kernel keeps for what must outlive a warm reset.

The region begins with the records of the kernel's log, all of one size, as many as find room; the zones of the console,
ftrace and pmsg follow, and what is left over at its end is nobody's (ramoops_probe in fs/pstore/ram.c, the same since
Linux 4.3). There the box lies, or, where nothing is left over, at the end of the last record while that is empty:
ramoops writes records from their beginning, the last one last. Nothing that ramoops reads is changed, and pstore shows
nothing of it. Addresses are physical, sizes in bytes.
"""

from __future__ import annotations

import struct

from warmboot.blackbox.page import read_page
from warmboot.live.files import number, under
from warmboot.purgatory.record import BOX_SIZE

__all__ = ["ramoops_page", "ramoops_region"]

_PARAMETERS = "sys/module/ramoops/parameters"  # as they count, wherever the region was given (a device tree, firmware)
_HEADER = struct.Struct("<4sII")  # struct persistent_ram_buffer: sig, start, size
_SIGNATURE = b"DBGC"


def ramoops_region(root: str = "/") -> tuple[int, int] | None:
    """Where it begins, and its size; None where there is none."""
    start, size = _parameter("mem_address", root), _parameter("mem_size", root)
    return (start, size) if start and size else None


def ramoops_page(root: str = "/") -> int | None:
    """Its address; None where there is no region, it has no page to spare, or the records cannot be read."""
    region, record = ramoops_region(root), _size("record_size", root)
    if region is None or not record:
        return None
    start, size = region
    zones = sum(_size(name, root) for name in ("console_size", "ftrace_size", "pmsg_size"))
    records = (size - zones) // record
    if records < 1:
        return None
    last_page = (start + size) // BOX_SIZE * BOX_SIZE - BOX_SIZE
    if last_page >= start + records * record + zones:
        return last_page
    return _end_of_last_record(start + (records - 1) * record, record, root) if records > 1 else None


def _end_of_last_record(at: int, size: int, root: str) -> int | None:
    """Behind a record's end lie its check bytes, if there are any (ramoops.ecc)."""
    if size < 2 * BOX_SIZE or at % BOX_SIZE or size % BOX_SIZE or _parameter("ecc", root):
        return None
    try:
        signature, _, used = _HEADER.unpack_from(read_page(at, root))
    except OSError:
        return None
    return at + size - BOX_SIZE if signature == _SIGNATURE and not used else None


def _parameter(name: str, root: str) -> int:
    return number(under(root, f"{_PARAMETERS}/{name}")) or 0


def _size(name: str, root: str) -> int:
    """The sizes of records and zones are rounded down to powers of 2, as they may have been given otherwise."""
    value = _parameter(name, root)
    return 1 << value.bit_length() - 1 if value else 0
