"""What a file may be: cheap looks at its first bytes. No parser is needed to tell formats apart."""

from __future__ import annotations

from warmboot.formats.ident import EM_386, EM_486, EM_X86_64, elf_machine, is_elf, is_mz
from warmboot.formats.reading import has, u16, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "KINDS",
    "find_multiboot1",
    "find_multiboot2",
    "is_bzimage",
    "is_bzimage64",
    "matching_kinds",
]

# kexec-tools' names, in the order in which it probes on x86_64: `kexec --help` and its file_type table.
KINDS = (
    "multiboot2-x86",
    "elf-x86_64",
    "multiboot-x86",
    "elf-x86",
    "bzImage64",
    "bzImage",
    "beoboot-x86",
    "nbi-x86",
    "uki",
)

_MULTIBOOT1 = b"\x02\xb0\xad\x1b"
_MULTIBOOT2 = b"\xd6\x50\x52\xe8"
_MULTIBOOT1_SEARCH, _MULTIBOOT2_SEARCH = 8192, 32768  # bytes from the file's start, by the specifications
_AOUT_KLUDGE = 1 << 16  # the multiboot 1 header has addresses of its own
_TAG_ADDRESS = 2


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


def _is_multiboot2(data: memoryview) -> bool:
    if elf_machine(data) in (EM_386, EM_486, EM_X86_64):
        return find_multiboot2(data) is not None
    if is_elf(data) or is_bzimage(data):  # kexec-tools takes ELF files alone, and a bzImage for one whatever is in it
        return False
    at = find_multiboot2(data)
    return at is not None and _TAG_ADDRESS in (u16(data, each) for each in tags(data, at))


def tags(data: memoryview, header: int) -> list[int]:
    """The offsets of a multiboot 2 header's tags, up to the one that ends them or the first that has no sense."""
    offsets = []
    end = min(header + u32(data, header + 8), _MULTIBOOT2_SEARCH, data.nbytes)
    at = header + 16
    while at + 8 <= end and u16(data, at) and 8 <= u32(data, at + 4) <= end - at:
        offsets.append(at)
        at += -(-u32(data, at + 4) // 8) * 8
    return offsets


def _is_uki(data: memoryview) -> bool:
    if not is_mz(data):
        return False
    from warmboot.formats.pe import sections  # noqa: PLC0415 - for EFI programs alone

    return any(each.name == ".linux" for each in sections(data))


def _is_multiboot1(data: memoryview) -> bool:
    at = find_multiboot1(data)
    return at is not None and (bool(u32(data, at + 4) & _AOUT_KLUDGE) or elf_machine(data) in (EM_386, EM_486))


_TESTS: dict[str, Callable[[memoryview], bool]] = {
    "multiboot2-x86": _is_multiboot2,
    "elf-x86_64": lambda data: elf_machine(data) == EM_X86_64,
    "multiboot-x86": _is_multiboot1,
    "elf-x86": lambda data: elf_machine(data) in (EM_386, EM_486),
    "bzImage64": is_bzimage64,
    "bzImage": is_bzimage,
    "beoboot-x86": lambda data: has(data, 0, b"BeoB"),
    "nbi-x86": lambda data: has(data, 0, b"\x36\x13\x03\x1b"),
    "uki": _is_uki,
}


def matching_kinds(data: memoryview) -> Iterator[str]:
    """The kinds that the file may be loaded as, the one that is taken by default first."""
    return (kind for kind in KINDS if _TESTS[kind](data))
