"""Initial RAM disks unpacked here: plain archives stay as they are, packed ones become what they hold.

An initrd is archives one after the other, each plain or packed, with zeros between them: buffer-format.rst of the
kernel. What comes first may be plain, such as microcode, which the kernel looks for before it can unpack anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.errors import InputError
from warmboot.images.decompress import compression, decompressed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UnpackedInitrd", "unpacked_initrd"]

_MAGICS = (b"070701", b"070702")  # of cpio's "newc" format, without and with checksums
_HEADER = 110  # bytes
_SIZE, _NAME_SIZE = slice(54, 62), slice(94, 102)  # hexadecimal digits in it
_ALIGN = 4
_PAGE = 4096  # zeros are skipped so many at a time


@dataclass(frozen=True, slots=True)
class UnpackedInitrd:
    """The parts to load one after the other, each at a multiple of 4 bytes, and the methods they were packed by.

    No methods: all of it is as it was, because nothing in it is packed by a method that is known here.
    """

    parts: Sequence[memoryview]
    methods: Sequence[str]


def unpacked_initrd(data: memoryview, name: str, most: int) -> UnpackedInitrd:
    """Unpack the initrd `name`. What is packed must be one run of one method at its end, as all that make initrds do.

    `most` is how many bytes may come out. Raises InputError where packed data are cut short or damaged, RefusedError
    where more comes out, MissingToolError where a library for it is missing.
    """
    packed = _plain(data, name)
    rest = data[packed:]
    kind = compression(rest) if rest.nbytes else None
    if kind is None:
        return UnpackedInitrd((data,), ())
    inner = decompressed(rest, name, limit=most)
    if compression(inner) is not None or not _is_archive(inner):
        return UnpackedInitrd((data,), ())  # no archive is inside: whatever it is, the kernel shall judge
    return UnpackedInitrd((data[:packed], inner) if packed else (inner,), (kind,))


def _plain(data: memoryview, name: str) -> int:
    """Bytes at the beginning that are plain archives, and zeros: up to what is packed, or the end."""
    at = 0
    while at < data.nbytes:
        if data[at] == 0:
            at = _after_zeros(data, at)
        elif at % _ALIGN == 0 and _is_archive(data[at:]):
            at = _after_member(data, at, name)
        else:
            break
    return at


def _is_archive(data: memoryview) -> bool:
    return bytes(data[:6]) in _MAGICS


def _after_zeros(data: memoryview, at: int) -> int:
    while at < data.nbytes:
        page = bytes(data[at : at + _PAGE])
        left = page.lstrip(b"\0")
        if left:
            return at + len(page) - len(left)
        at += len(page)
    return at


def _after_member(data: memoryview, at: int, name: str) -> int:
    """Where the member that begins at `at` ends, which is padded as its name is."""
    header = bytes(data[at : at + _HEADER])
    try:
        size, name_size = (int(header[field], 16) for field in (_SIZE, _NAME_SIZE))
    except ValueError:
        size = name_size = -1
    named = -(-(at + _HEADER + name_size) // _ALIGN) * _ALIGN
    if min(size, name_size) < 0 or named + size > data.nbytes:
        raise InputError(
            f"{name}: byte {at:#x}: a damaged archive", hint="make the initrd again, or leave out --unpack initrd"
        )
    return min(-(-(named + size) // _ALIGN) * _ALIGN, data.nbytes)
