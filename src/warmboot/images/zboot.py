"""EFI zboot images: a PE program that unpacks the kernel inside it (drivers/firmware/efi/libstub/zboot-header.S)."""

from __future__ import annotations

import struct

from warmboot.errors import InputError
from warmboot.formats.reading import has, u32
from warmboot.images.decompress import compression

__all__ = ["is_zboot", "zboot_payload", "zboot_size"]

_HEADER = struct.Struct("<4s4sII8x32s")  # "MZ", "zimg", the payload's offset and size, ..., its compression


def is_zboot(data: memoryview) -> bool:
    """Whether the file begins as zboot images do."""
    return has(data, 0, b"MZ") and has(data, 4, b"zimg")


def zboot_size(data: memoryview) -> int:
    """The bytes of a zboot image up to the end of the kernel in it, by its first bytes."""
    return u32(data, 8) + u32(data, 12)


def zboot_payload(data: memoryview, name: str) -> memoryview:
    """The compressed kernel in the file `name`. Raises InputError: cut short, or packed in an unknown way."""
    if data.nbytes < _HEADER.size:
        raise InputError(f"{name}: cut short within the zboot header", hint="copy or download the file again")
    _, _, offset, size, method = _HEADER.unpack_from(data)
    payload = data[offset : offset + size]
    if not size or payload.nbytes < size:
        raise InputError(
            f"{name}: cut short: the zboot payload is {size} bytes from byte {offset:#x}, the file has {data.nbytes}",
            hint="copy or download the file again",
        )
    if compression(payload) is None:
        said = method.partition(b"\0")[0].decode("ascii", "replace")
        raise InputError(
            f"{name}: the zboot payload is packed with {said!a}, which cannot be unpacked here",
            hint="give the kernel as it was before it was packed",
        )
    return payload
