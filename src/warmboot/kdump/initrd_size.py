"""How large an initrd is once it is unpacked: cpio archives, plain or compressed, one after the other.

The kernel reads newc archives as they come, and what is neither an archive nor zeros as something compressed
(Documentation/driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.formats.newc import after_zeros, begins_member, member
from warmboot.images import decompressed

__all__ = ["unpacked_size"]

_PAGE = 4096


def unpacked_size(data: memoryview, name: str) -> int:
    """The bytes that its files take in memory, in whole pages. Raises InputError where it is no initrd."""
    total, at = 0, 0
    while at < data.nbytes:
        if data[at] == 0:
            at = after_zeros(data, at)
        elif begins_member(data, at):
            size, at = _member(data, at, name)
            total += -(-size // _PAGE) * _PAGE
        else:
            inner = decompressed(data[at:], name)
            if inner.nbytes == data.nbytes - at:
                raise InputError(
                    f"{name}: byte {at} begins neither an archive nor a compressed one", hint="make it again"
                )
            return total + unpacked_size(inner, name)
    return total


def _member(data: memoryview, at: int, name: str) -> tuple[int, int]:
    """A file's size, and where the next one begins: names and contents are padded to 4 bytes."""
    found = member(data, at)
    if found is None:
        raise InputError(f"{name}: byte {at}: no number in an archive's header", hint="make it again")
    if found.end > data.nbytes + 3:
        raise InputError(f"{name}: cut off: a file at byte {at} ends after {data.nbytes}", hint="make it again")
    return found.size, found.end
