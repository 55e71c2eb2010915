"""Whether an initial RAM disk has its end: what a full disk or a broken copy has cut off cannot be unpacked.

Linux takes cpio archives, packed or not, one after another (early-userspace/buffer-format.rst).
Nothing is unpacked here: an archive says how long each file is, and zstd, lz4 and xz say where their data end. gzip,
bzip2 and lzma do not, and are taken as whole.
"""

from __future__ import annotations

from warmboot.formats.newc import after_zeros, begins_member, member

__all__ = ["where_cut"]

_ZSTD, _XZ, _XZ_END, _LZ4 = b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"YZ", b"\x02\x21\x4c\x18"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)  # zstd's frames that hold no data (RFC 8878)
_TRAILER = b"TRAILER!!!\0"


def where_cut(data: memoryview) -> str | None:
    """What ends too early, in words; None for a whole one, and where that cannot be seen."""
    at = 0
    while (at := after_zeros(data, at)) < data.nbytes:
        head = bytes(data[at : at + 6])
        if at % 4 == 0 and begins_member(data, at):
            end = _archive(data, at)
            if end is None:
                return f"the archive at offset {at:#x} has no end: the file stops at {data.nbytes:#x}"
            at = end
        elif head[:4] == _ZSTD:
            return None if _zstd(data, at) else f"the zstd data at offset {at:#x} have no end"
        elif head == _XZ:
            return None if _end(data).endswith(_XZ_END) else f"the xz data at {at:#x} have no end"
        elif head[:4] == _LZ4:
            return None if _lz4(data, at) else f"the lz4 data at offset {at:#x} have no end"
        else:
            return None
    return None


def _archive(data: memoryview, at: int) -> int | None:
    """Where the archive ends; None where it is cut, or is none."""
    while begins_member(data, at):
        found = member(data, at)
        if found is None or found.content + found.size > data.nbytes:
            return None
        if bytes(data[found.name : found.name + len(_TRAILER)]) == _TRAILER:
            return min(found.end, data.nbytes)
        at = found.end
    return None


def _end(data: memoryview) -> bytes:
    """The last bytes before zeros."""
    for at in range(data.nbytes, 0, -4096):
        last = bytes(data[max(0, at - 4096) : at]).rstrip(b"\0")
        if last:
            return last
    return b""


def _zstd(data: memoryview, at: int) -> bool:
    """Whether all frames from there on are whole (RFC 8878, 3.1.1)."""
    while at + 4 <= data.nbytes:
        magic = int.from_bytes(data[at : at + 4], "little")
        if magic in _SKIPPABLE:
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if bytes(data[at : at + 4]) != _ZSTD:
            return True  # what follows is not ours to judge
        end = _frame(data, at)
        if end is None:
            return False
        at = end
    return at <= data.nbytes


def _frame(data: memoryview, at: int) -> int | None:
    if at + 5 > data.nbytes:
        return None
    descriptor = data[at + 4]
    single = descriptor >> 5 & 1
    at += 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]
    while at + 3 <= data.nbytes:
        block = int.from_bytes(data[at : at + 3], "little")
        at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        if block & 1:
            at += 4 * (descriptor >> 2 & 1)
            return at if at <= data.nbytes else None
    return None


def _lz4(data: memoryview, at: int) -> bool:
    """The legacy format, in blocks that say how long they are."""
    at += 4
    while at + 4 <= data.nbytes:
        size = int.from_bytes(data[at : at + 4], "little")
        if bytes(data[at : at + 4]) == _LZ4:
            at += 4
            continue
        if not size or size > _MOST_LZ4:  # padding, or something else
            return True
        at += 4 + size
    return at <= data.nbytes


_MOST_LZ4 = (8 << 20) + (8 << 20) // 255 + 16  # bytes of a packed block of 8 MiB
