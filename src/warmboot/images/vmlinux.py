"""The vmlinux inside a bzImage, unpacked here: its own decompressor then has nothing to do."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.formats.elf import header
from warmboot.formats.reading import u16, u32, u64
from warmboot.images.bzimage import BzImage
from warmboot.images.decompress import compression, decompressed
from warmboot.images.elf import ElfImage, parse_elf
from warmboot.images.relocs import Relocations, parse_relocations

__all__ = ["UNPACKED_KIND", "UnpackedLinux", "unpacked_linux"]

UNPACKED_KIND = "vmlinux"
_WITH_PAYLOAD = 0x0208  # the protocol since which the header tells where the payload is
_MOST = 1 << 30  # bytes: KERNEL_IMAGE_SIZE, the most that Linux maps of itself
_HINT = "leave out --unpack kernel: the kernel unpacks itself"


@dataclass(frozen=True, slots=True)
class UnpackedLinux:
    """A bzImage, and the kernel inside it."""

    packed: BzImage
    inner: ElfImage
    relocations: Relocations | None  # None: linked for one virtual address
    kind: str = UNPACKED_KIND

    @property
    def name(self) -> str:
        """The file of the bzImage."""
        return self.packed.name

    @property
    def version(self) -> str:
        return self.packed.version

    @property
    def file(self) -> memoryview:
        """The unpacked file."""
        return self.inner.file

    @property
    def wrapping(self) -> tuple[str, ...]:
        return (*self.packed.wrapping, self.packed.compression)


def unpacked_linux(image: BzImage) -> UnpackedLinux:
    """Unpack the payload of a bzImage: an ELF file, and the relocations that follow it.

    Raises InputError for a damaged one, RefusedError for one that is entered in 32-bit mode or packed by a method that
    is not known here, MissingToolError where the library for it is not installed.
    """
    name = image.name
    if image.kind != "bzImage64" or image.protocol < _WITH_PAYLOAD:
        raise RefusedError(f"{name}: no 64-bit bzImage of protocol 2.08 or later: it must unpack itself", hint=_HINT)
    offset, length = u32(image.setup, 0x248), u32(image.setup, 0x24C)
    payload = image.kernel[offset : offset + length]
    if payload.nbytes < length or not length:
        raise InputError(f"{name}: byte 0x248: the payload ends beyond the kernel", hint=_HINT)
    if compression(payload) is None and image.compression != "none":
        raise RefusedError(f"{name}: packed by {image.compression}, which is not unpacked here", hint=_HINT)
    data = decompressed(payload, name, limit=_MOST)
    inner = parse_elf(data, name)
    if inner.bits != 64:
        raise RefusedError(f"{name}: a 32-bit kernel is inside", hint=_HINT)
    return UnpackedLinux(image, inner, parse_relocations(data[_end_of_elf(data) :], name))


def _end_of_elf(data: memoryview) -> int:
    """Where the ELF file ends: after its section headers, or what is loaded of it."""
    ehdr = header(data)
    assert ehdr is not None
    sections = u64(data, 0x28) + u16(data, 0x3A) * u16(data, 0x3C)  # e_shoff, e_shentsize, e_shnum
    return min(max(ehdr.phdrs_end, sections), data.nbytes)
