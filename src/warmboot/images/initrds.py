"""Initial RAM disks unpacked here: plain archives stay as they are, packed ones become what they hold.

An initrd is archives one after the other, each plain or packed, with zeros between them: buffer-format.rst of the
kernel. What comes first may be plain, such as microcode, which the kernel looks for before it can unpack anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.errors import InputError
from warmboot.formats.newc import after_zeros, begins_member, member
from warmboot.images.decompress import compression, decompressed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UnpackedInitrd", "unpacked_initrd"]

_ALIGN = 4  # what a plain archive begins at


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
    if compression(inner) is not None or not begins_member(inner, 0):
        return UnpackedInitrd((data,), ())  # no archive is inside: whatever it is, the kernel shall judge
    return UnpackedInitrd((data[:packed], inner) if packed else (inner,), (kind,))


def _plain(data: memoryview, name: str) -> int:
    """Bytes at the beginning that are plain archives, and zeros: up to what is packed, or the end."""
    at = 0
    while at < data.nbytes:
        if data[at] == 0:
            at = after_zeros(data, at)
        elif at % _ALIGN == 0 and begins_member(data, at):
            at = _after_member(data, at, name)
        else:
            break
    return at


def _after_member(data: memoryview, at: int, name: str) -> int:
    """Where the member that begins at `at` ends, which is padded as its name is."""
    found = member(data, at)
    if found is None or found.content + found.size > data.nbytes:
        raise InputError(
            f"{name}: byte {at:#x}: a damaged archive", hint="make the initrd again, or leave out --unpack initrd"
        )
    return min(found.end, data.nbytes)
