"""The page of a black box in ramoops' region, which the running kernel keeps for what must outlive a warm reset.

The region begins with the records of the kernel's log, and the zones of the console, ftrace and pmsg follow. The room
that those zones leave is divided by the number of records that find place in it, so that a record is as a rule larger
than ramoops.record_size, begins at any even byte, and nothing is left over (ramoops_init_przs in fs/pstore/ram.c,
since Linux 4.10). The box lies at the end of the last record while that is empty: ramoops writes records from their
beginning, the last one last. Without records it is the last page, which has no zone. Nothing that ramoops reads is
changed, and pstore shows nothing of the box. Addresses are physical, sizes in bytes.
"""

from __future__ import annotations

import struct

from warmboot.blackbox.page import read_page
from warmboot.live.files import number, text, under
from warmboot.purgatory.record import BOX_SIZE

__all__ = ["ramoops_page", "ramoops_region"]

_PARAMETERS = "sys/module/ramoops/parameters"  # as they count, wherever the region was given (a device tree, firmware)
_HEADER = struct.Struct("<4sII")  # struct persistent_ram_buffer: sig, start, size
_SIGNATURE = b"DBGC"
_PAGE, _EVEN = -BOX_SIZE, -2  # masks


def ramoops_region(root: str = "/") -> tuple[int, int] | None:
    """Where it begins, and its size; None where there is none."""
    start, size = _parameter("mem_address", root), _parameter("mem_size", root)
    return (start, size) if start and size else None


def ramoops_page(root: str = "/") -> int | None:
    """Its address; None where there is no region, it has no page to spare, or the records cannot be read."""
    region = ramoops_region(root)
    if region is None:
        return None
    start, size = region
    console, record = _size("console_size", root), _size("record_size", root)
    room = size - console - _size("ftrace_size", root) - _size("pmsg_size", root)
    if room <= 0:
        return None
    try:
        if not record:
            page = (start + size & _PAGE) - BOX_SIZE
            is_free = console and _used(start, root) is not None  # the console's zone is the first one
            return page if is_free and page >= start + size - room else None
        records = room // record
        if records < 2 or (text(under(root, f"{_PARAMETERS}/ecc")) or "0") != "0":  # check bytes end a record
            return None
        each = room // records & _EVEN
        last = start + (records - 1) * each
        page = (last + each & _PAGE) - BOX_SIZE
        return page if page >= last + BOX_SIZE and _used(last, root) == 0 else None
    except OSError:
        return None


def _used(zone: int, root: str) -> int | None:
    """How many bytes of a zone are in use; None where there is no zone, as these are not the sizes of what runs. Raises
    OSError."""
    first = read_page(zone, root)[zone % BOX_SIZE :]
    if len(first) < _HEADER.size:
        first += read_page((zone & _PAGE) + BOX_SIZE, root)
    signature, _, used = _HEADER.unpack_from(first)
    return used if signature == _SIGNATURE else None


def _parameter(name: str, root: str) -> int:
    return number(under(root, f"{_PARAMETERS}/{name}")) or 0


def _size(name: str, root: str) -> int:
    """The sizes of records and zones are rounded down to powers of 2, as they may have been given otherwise."""
    value = _parameter(name, root)
    return 1 << value.bit_length() - 1 if value else 0
