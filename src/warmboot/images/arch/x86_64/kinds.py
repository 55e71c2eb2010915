"""The kinds of kernels for x86_64. A new format is a row here, and one in placement's formats."""

from __future__ import annotations

from warmboot.formats.ident import EM_386, EM_486, EM_X86_64, elf_machine, is_elf, is_mz
from warmboot.formats.reading import has, u16, u32
from warmboot.images.arch.interface import Kind, Origin
from warmboot.images.probe import find_multiboot1, find_multiboot2, is_bzimage, is_bzimage64, tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.image import Image

__all__ = ["KINDS"]

_AOUT_KLUDGE = 1 << 16  # the multiboot 1 header has addresses of its own
_TAG_ADDRESS = 2  # and so has the multiboot 2 header that has this tag


def _is_elf64(data: memoryview) -> bool:
    return elf_machine(data) == EM_X86_64


def _is_elf32(data: memoryview) -> bool:
    return elf_machine(data) in (EM_386, EM_486)


def _is_multiboot2(data: memoryview) -> bool:
    if elf_machine(data) in (EM_386, EM_486, EM_X86_64):
        return find_multiboot2(data) is not None
    if is_elf(data) or is_bzimage(data):  # kexec-tools takes ELF files alone, and a bzImage for one whatever is in it
        return False
    at = find_multiboot2(data)
    return at is not None and _TAG_ADDRESS in (u16(data, each) for each in tags(data, at))


def _is_multiboot1(data: memoryview) -> bool:
    at = find_multiboot1(data)
    return at is not None and (bool(u32(data, at + 4) & _AOUT_KLUDGE) or _is_elf32(data))


def _is_beoboot(data: memoryview) -> bool:
    return has(data, 0, b"BeoB")


def _is_nbi(data: memoryview) -> bool:
    return has(data, 0, b"\x36\x13\x03\x1b")


def _is_uki(data: memoryview) -> bool:
    if not is_mz(data):
        return False
    from warmboot.formats.pe import sections  # noqa: PLC0415 - for EFI programs alone

    return any(each.name == ".linux" for each in sections(data))


def _multiboot2(data: memoryview, origin: Origin) -> Image:
    from warmboot.images.multiboot2 import parse_multiboot2  # noqa: PLC0415

    return parse_multiboot2(data, origin.name, origin.wrapping)


def _multiboot1(data: memoryview, origin: Origin) -> Image:
    from warmboot.images.multiboot import parse_multiboot1  # noqa: PLC0415

    return parse_multiboot1(data, origin.name, origin.wrapping)


def _elf(data: memoryview, origin: Origin) -> Image:
    from warmboot.images.elf import parse_elf  # noqa: PLC0415

    return parse_elf(data, origin.name, origin.wrapping)


def _bzimage64(data: memoryview, origin: Origin) -> Image:
    from warmboot.images.bzimage import parse_bzimage  # noqa: PLC0415

    return parse_bzimage(data, origin.name, kind="bzImage64", wrapping=origin.wrapping)


def _bzimage(data: memoryview, origin: Origin) -> Image:
    from warmboot.images.bzimage import parse_bzimage  # noqa: PLC0415

    return parse_bzimage(data, origin.name, kind="bzImage", wrapping=origin.wrapping)


def _uki(data: memoryview, origin: Origin) -> Image:
    from warmboot.images.uki import parse_uki  # noqa: PLC0415

    return parse_uki(data, origin.name, origin.wrapping, origin.profile)


# kexec-tools' names, in the order in which it probes on x86_64: `kexec --help` and its file_type table.
KINDS = (
    Kind("multiboot2-x86", _is_multiboot2, _multiboot2),
    Kind("elf-x86_64", _is_elf64, _elf),
    Kind("multiboot-x86", _is_multiboot1, _multiboot1),
    Kind("elf-x86", _is_elf32, _elf),
    Kind("bzImage64", is_bzimage64, _bzimage64),
    Kind("bzImage", is_bzimage, _bzimage),
    Kind("beoboot-x86", _is_beoboot),
    Kind("nbi-x86", _is_nbi),
    Kind("uki", _is_uki, _uki, profiles=True),
)
