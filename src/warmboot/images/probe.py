"""What a file may be: cheap looks at its first bytes. No parser is needed to tell formats apart."""

from __future__ import annotations

from warmboot.formats.reading import has, u16, u32

__all__ = [
    "find_multiboot1",
    "find_multiboot2",
    "is_bzimage",
    "is_bzimage64",
    "tags",
]

_MULTIBOOT1 = b"\x02\xb0\xad\x1b"
_MULTIBOOT2 = b"\xd6\x50\x52\xe8"
_MULTIBOOT1_SEARCH, _MULTIBOOT2_SEARCH = 8192, 32768  # bytes from the file's start, by the specifications


def find_multiboot1(data: memoryview) -> int | None:
    """The offset of the multiboot 1 header: 4-byte aligned, its three first words add up to 0."""
    return _find(data, _MULTIBOOT1, _MULTIBOOT1_SEARCH, align=4, words=3)


def find_multiboot2(data: memoryview) -> int | None:
    """The offset of the multiboot 2 header: 8-byte aligned, its four first words add up to 0."""
    return _find(data, _MULTIBOOT2, _MULTIBOOT2_SEARCH, align=8, words=4)


def _find(data: memoryview, magic: bytes, search: int, *, align: int, words: int) -> int | None:
    head = bytes(data[:search])
    at = head.find(magic)
    while at >= 0:
        fields = [int.from_bytes(head[each : each + 4], "little") for each in range(at, at + 4 * words, 4)]
        if at % align == 0 and at + 4 * words <= len(head) and not sum(fields) & 0xFFFF_FFFF:
            return at
        at = head.find(magic, at + 1)
    return None


def is_bzimage(data: memoryview) -> bool:
    """Whether the file has the setup header's magic and the boot sector's (boot.rst)."""
    return has(data, 0x202, b"HdrS") and u16(data, 0x1FE) == 0xAA55


def is_bzimage64(data: memoryview) -> bool:
    """Whether it is a bzImage with the 64-bit entry, which may lie above 4 GiB: protocol 2.12 or later."""
    return is_bzimage(data) and u16(data, 0x206) >= 0x020C and u16(data, 0x211) & 1 == 1 and u16(data, 0x236) & 3 == 3


def tags(data: memoryview, header: int) -> list[int]:
    """The offsets of a multiboot 2 header's tags, up to the one that ends them or the first that has no sense."""
    offsets = []
    end = min(header + u32(data, header + 8), _MULTIBOOT2_SEARCH, data.nbytes)
    at = header + 16
    while at + 8 <= end and u16(data, at) and 8 <= u32(data, at + 4) <= end - at:
        offsets.append(at)
        at += -(-u32(data, at + 4) // 8) * 8
    return offsets
