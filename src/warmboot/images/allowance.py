"""How much of a packed kernel is unpacked, by what its first bytes say that it is and needs.

A packed file of a few kilobytes may hold terabytes. A kernel tells its own size in its header, and what is no kernel
need not be unpacked to be told.
"""

from __future__ import annotations

import os

from warmboot.errors import RefusedError
from warmboot.formats.elf import PT_LOAD, header, program_headers
from warmboot.formats.ident import is_elf
from warmboot.formats.pe import certificate_table, extent
from warmboot.formats.reading import u16, u32
from warmboot.images.decompress import beginning, compression, decompressed
from warmboot.images.kinds import kinds_of
from warmboot.images.probe import is_bzimage
from warmboot.images.zboot import is_zboot, zboot_size
from warmboot.records import dataclass

__all__ = ["HEAD", "Allowance", "allowance", "half_of_memory", "unpacked"]

HEAD = 64 << 10  # bytes that tell what a file is: the specifications search in 32 KiB, and a CD tells it at 0x8001
_LARGEST_KERNEL = 1 << 30  # bytes that are loaded of a kernel; Linux's own limit (KERNEL_IMAGE_SIZE) is 1 GiB
_LARGEST_UNIFIED = 2 << 30  # bytes of a kernel with its initrd, as one packed file
_LARGEST_OTHER = 256 << 20  # bytes of a kernel that is packed once more, or that does not tell its size
_USUAL = 64 << 20  # bytes that are kept in any case: all of most kernels
_SLACK = 16 << 20  # bytes after what a header speaks of, such as a signature
_SYMBOLS = 2 << 30  # bytes of symbols that may follow what is loaded of an ELF file
_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Allowance:
    """Bytes: `most` may come out, of which the first `kept` are of use."""

    most: int
    kept: int


def half_of_memory() -> int:
    """The most that Linux loads as one image: half of RAM, in bytes (sanity_check_segment_list)."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def allowance(head: memoryview, name: str) -> Allowance | None:
    """What is unpacked of the file `name` that begins with `head`, its first HEAD bytes; None for what is no kernel.

    Raises RefusedError for what says itself that it is too large.
    """
    if compression(head) is not None or is_zboot(head):
        return _checked(name, zboot_size(head) if is_zboot(head) else _LARGEST_OTHER, _SLACK)
    kind = next(kinds_of(head), None)
    if kind is None or kind.parse is None:
        return None
    if kind.name == "uki":
        return _checked(name, extent(head) or 0, _SLACK, _LARGEST_UNIFIED)
    if is_elf(head):
        return _checked(name, _elf_size(head), _SYMBOLS)
    return _checked(name, _bzimage_size(head) if is_bzimage(head) else _LARGEST_OTHER, _SLACK)


def unpacked(data: memoryview, name: str) -> memoryview:
    """The kernel that is packed in the file `name`, taken out of one packing; of what is no kernel the beginning.

    Raises as `decompressed` and `allowance` do.
    """
    head = beginning(data, name, HEAD)
    allowed = allowance(head, name)
    return head if allowed is None else decompressed(data, name, limit=allowed.most, kept=allowed.kept)


def _checked(name: str, needed: int, more: int, limit: int = _LARGEST_KERNEL) -> Allowance:
    limit = min(limit, half_of_memory())
    if needed > limit:
        raise RefusedError(
            f"{name}: unpacks to a kernel that says it has {needed} bytes, more than {limit >> 20} MiB",
            hint="give a kernel that fits into memory; check where the file comes from",
        )
    return Allowance(max(needed, _USUAL) + more, max(needed + min(more, _SLACK), _USUAL))


def _elf_size(head: memoryview) -> int:
    """The bytes up to the last that is loaded; of a file whose headers are not in `head`, what may be."""
    ehdr = header(head)
    if ehdr is None or not ehdr.phnum or ehdr.phentsize != ehdr.phdr_size:
        return 0  # its parser says what is wrong
    if ehdr.phdrs_end > head.nbytes:
        return _LARGEST_KERNEL
    table = program_headers(head[ehdr.phoff : ehdr.phdrs_end], ehdr.bits)
    return max((each.offset + min(each.filesz, each.memsz) for each in table if each.type == PT_LOAD), default=0)


def _bzimage_size(head: memoryview) -> int:
    """By the setup header's sectors and paragraphs (boot.rst), and the signature of an EFI program."""
    size = (1 + (head[0x1F1] or 4)) * _SECTOR
    size += 16 * (u32(head, 0x1F4) if u16(head, 0x206) >= 0x0204 else u16(head, 0x1F4))
    signed = certificate_table(head)
    return max(size, sum(signed) if signed else 0)
