"""How much RAM a machine that boots may have on this computer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from warmboot.numbers import number

__all__ = ["available_memory", "ram_that_fits"]

# A kernel that boots writes a struct page of 64 bytes for each page of 4096 bytes of RAM, used or not
# (Documentation/mm/vmemmap_dedup.rst). An eighth of what is available here may become that.
_RAM_FOR_A_BYTE = 4096 // 64
_SHARE = 8
# Bytes of RAM that are always tried, and that are enough: an emulated processor writes the pages of 12 GiB a second.
_LEAST, _MOST = 1 << 30, 256 << 30
_UNKNOWN = 1 << 30  # bytes available where nobody tells
_UNIT = 1 << 30  # a figure that a person can read


def ram_that_fits(root: Path = Path("/")) -> int:
    """Bytes of RAM that a booting machine may have here; what it touches of them stays far below what is available."""
    ram = available_memory(root) // _SHARE * _RAM_FOR_A_BYTE
    return max(_LEAST, min(_MOST, ram // _UNIT * _UNIT))


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: of this computer (MemAvailable), and of its control groups."""
    of_computer = _field(_text(root / "proc/meminfo"), r"MemAvailable:\s+(\d+) kB")
    bounds = [] if of_computer is None else [of_computer << 10]
    return min([*bounds, *_control_groups(root)], default=_UNKNOWN)


def _control_groups(root: Path) -> Iterator[int]:
    """What each group of ours has left, those above it too (cgroup-v2.rst, cgroup-v1/memory.rst)."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number_, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number_ == "0" and not controllers:
            top, limit, kinds = root / "sys/fs/cgroup", "memory.max", r"^(?:anon|shmem|kernel) (\d+)$"
        elif "memory" in controllers.split(","):
            top, limit, kinds = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes", r"^total_(?:rss|shmem) (\d+)$"
        else:
            continue
        folder = top / path.strip("/")
        for each in (folder, *folder.parents):
            if not each.is_relative_to(top):
                break
            most = number(_text(each / limit).strip())
            if most is not None:
                taken = re.findall(kinds, _text(each / "memory.stat"), re.MULTILINE)
                yield max(0, most - sum(number(size) or 0 for size in taken))


def _field(text: str, pattern: str) -> int | None:
    found = re.search(pattern, text)
    return number(found[1]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
