"""Whether there is memory for preserving files: Linux fills their holes first, and would kill processes to get it."""

from __future__ import annotations

import os

from warmboot.numbers import number, size_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.switching.held import Entry

__all__ = ["available_memory", "memory_needed", "why_no_room"]

_PAGE = 4096  # bytes
_LISTS = 64  # bytes for each page: a pointer, struct memfd_luo_folio_ser, and KHO's tree with the room it takes


def memory_needed(entries: list[Entry]) -> int:
    """Bytes that preserving takes: the holes of the files, and the lists of their pages."""
    needed = 0
    for each in entries:
        status = os.fstat(each.fd)
        needed += max(0, status.st_size - status.st_blocks * 512) + status.st_size // _PAGE * _LISTS
    return needed


def available_memory() -> int | None:
    """Bytes that the kernel can give without swapping (MemAvailable), None where it does not say."""
    try:
        with open("/proc/meminfo", "rb") as file:  # noqa: PTH123 - pathlib costs time
            text = file.read(65536).decode("ascii", "replace")
    except OSError:
        return None
    for line in text.split("\n"):
        words = line.split()
        if len(words) == 3 and words[0] == "MemAvailable:":
            found = number(words[1], most=1 << 53)
            return None if found is None else found << 10
    return None


def why_no_room(entries: list[Entry]) -> str:
    """Why they cannot be preserved, or "" where they can."""
    needed, available = memory_needed(entries), available_memory()
    if available is None or needed <= available:
        return ""
    return (
        f"preserving takes {size_text(needed)} more memory, as holes of the files are filled, and"
        f" {size_text(available)} is available"
    )
