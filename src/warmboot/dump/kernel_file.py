"""The types of a kernel that lies in a file: the BTF section of the vmlinux in a bzImage, or of a vmlinux itself."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump.btf import Btf
from warmboot.dump.interface import DumpError
from warmboot.formats.reading import u16, u32
from warmboot.images import identify
from warmboot.images.decompress import compression, decompressed
from warmboot.images.unwrap import is_unified
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.images import Image

__all__ = ["kernel_types", "section", "section_size", "vmlinux"]

_PAYLOAD_OFFSET, _PAYLOAD_LENGTH = 0x248, 0x24C  # of the setup header, protocol 2.08 (Linux 2.6.26)
_MOST = 1 << 30  # bytes of a vmlinux
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr: name, type, flags, addr, offset, size, link, info, ...
_MOST_SECTIONS = 4096
_HINT = (
    "give a kernel that has its types: one with CONFIG_DEBUG_INFO_BTF, as Debian, Fedora, Ubuntu and SUSE build them"
)


def kernel_types(path: Path) -> tuple[str, Btf]:
    """The release of a kernel file, and its types. Raises InputError for no kernel, DumpError for one without types."""
    image = identify(path)
    name = visible(str(path))
    release, elf = vmlinux(image, name)
    return release, Btf(section(elf, ".BTF", name))


def vmlinux(image: Image, name: str) -> tuple[str, memoryview]:
    """The release that an image's header tells, empty where it has none, and the vmlinux that is packed in it.

    `name` is its file's in messages. An image that is no bzImage is taken as it is. Raises DumpError where nothing is
    packed in a bzImage, and as `decompressed` does where that is damaged.
    """
    if is_unified(image):
        image = image.linux
    release = str(getattr(image, "version", "")).partition(" ")[0]
    return release, _vmlinux(image.file, getattr(image, "kernel", None), name)


def _vmlinux(file: memoryview, kernel: memoryview | None, name: str) -> memoryview:
    if kernel is None:
        return file
    offset, length = u32(file, _PAYLOAD_OFFSET), u32(file, _PAYLOAD_LENGTH)
    payload = kernel[offset : offset + length]
    if not length or payload.nbytes < length:
        raise DumpError(f"{name}: no kernel is packed in it, at byte {offset:#x} of its code", hint=_HINT)
    if compression(payload) is None:
        return payload
    return decompressed(payload, f"{name}: the packed kernel", limit=_MOST)


def section(elf: memoryview, wanted: str, name: str) -> bytes:
    """The bytes of a section. Raises DumpError where there is none."""
    offset, size = _found(elf, wanted, name)
    if offset + size > elf.nbytes:
        raise DumpError(f"{name}: {wanted} is cut short", hint=_HINT)
    return bytes(elf[offset : offset + size])


def section_size(elf: memoryview, wanted: str, name: str) -> int:
    """The bytes of a section that need not lie in the file. Raises DumpError where there is none."""
    return _found(elf, wanted, name)[1]


def _found(elf: memoryview, wanted: str, name: str) -> tuple[int, int]:
    """Where in the file a section lies, and its size."""
    if elf.nbytes < 64 or bytes(elf[:6]) != b"\x7fELF\x02\x01":
        raise DumpError(f"{name}: a 64-bit vmlinux was expected in it", hint=_HINT)
    [table] = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = u16(elf, 0x3A), u16(elf, 0x3C), u16(elf, 0x3E)
    if size != _SECTION.size or not names < count <= _MOST_SECTIONS or table + size * count > elf.nbytes:
        raise DumpError(f"{name}: the vmlinux has no table of sections", hint=_HINT)
    rows = [_SECTION.unpack_from(elf, table + size * number) for number in range(count)]
    strings = bytes(elf[rows[names][4] : rows[names][4] + min(rows[names][5], 1 << 20)])
    for row in rows:
        if strings[row[0] :].partition(b"\0")[0] == wanted.encode():
            return row[4], row[5]
    raise DumpError(f"{name}: the kernel has no section {wanted}: its types are not known", hint=_HINT)
