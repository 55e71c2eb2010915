"""KHO's other users: reserve_mem=, the chain of kernels, and the kernel's own test module.

mm/memblock.c, include/linux/kho/abi/kexec_metadata.h, lib/test_kho.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.handover.abi import METADATA_VERSION
from warmboot.handover.fdt import parse_fdt
from warmboot.handover.interface import PAGE_SIZE, HandoverError, PhysicalMemory, u64
from warmboot.handover.vmalloc import SIZE, Vmalloc, read_vmalloc

__all__ = ["KexecMetadata", "KhoTest", "ReserveMem", "read_kho_test", "read_memblock", "read_metadata"]

_RELEASE = 65  # bytes: __NEW_UTS_LEN + 1
_METADATA = 4 + _RELEASE + 4
_TEST_MAGIC = 0x4B484F21
_LARGEST_ORDER = 18


@dataclass(frozen=True, slots=True)
class ReserveMem:
    """Memory of the kernel's parameter reserve_mem=, by its name: physical address and bytes."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class KexecMetadata:
    """Which kernel hands over, and how many kexecs there will have been since the last cold boot (7.1 and later)."""

    version: int
    previous_release: str
    kexec_count: int


@dataclass(frozen=True, slots=True)
class KhoTest:
    """What test_kho preserved: folios, listed in a vmalloc area or, up to 6.17, in the tree itself; `checksum` is the
    kernel's csum_partial of them."""

    count: int
    checksum: int
    list: Vmalloc | None
    inline: tuple[int, ...] = ()

    def folios(self, memory: PhysicalMemory) -> Iterator[tuple[int, int]]:
        """The physical address and bytes of each, in order. Raises WarmbootError where the list is damaged."""
        left = self.count
        for each in self.inline or self._listed(memory):
            order = each & PAGE_SIZE - 1
            if order > _LARGEST_ORDER or not left:
                raise HandoverError(f"kho_test: {each:#x} is no folio of it", hint="it was written over")
            yield each - order, PAGE_SIZE << order
            left -= 1
        if left:
            raise HandoverError(f"kho_test: {left} of {self.count} folios are missing", hint="it was written over")

    def _listed(self, memory: PhysicalMemory) -> Iterator[int]:
        left = self.count
        if self.list is None:
            return
        for _, page in self.list.content(memory):
            words = memoryview(page).cast("Q")[: min(left, PAGE_SIZE // 8)].tolist()
            left -= len(words)
            yield from words


def read_metadata(data: bytes) -> KexecMetadata:
    """struct kho_kexec_metadata. Raises HandoverError."""
    version = int.from_bytes(data[:4], "little")
    if len(data) < _METADATA or version != METADATA_VERSION:
        raise HandoverError(
            f"kexec-metadata: {len(data)} bytes in version {version}, {_METADATA} in {METADATA_VERSION} were expected",
            hint="the kernel is newer, or its memory was written over",
        )
    release = data[4 : 4 + _RELEASE].split(b"\0")[0].decode("ascii", "backslashreplace")
    return KexecMetadata(version, release, int.from_bytes(data[4 + _RELEASE : _METADATA], "little"))


def read_memblock(data: bytes) -> list[ReserveMem]:
    """The reservations of memblock's tree. Raises HandoverError."""
    root = parse_fdt(data, "memblock's device tree").root
    if root.compatible != "memblock-v1":
        raise HandoverError(f"memblock: is of {root.compatible!r}, not memblock-v1", hint="the kernel is newer")
    found = []
    for each in root.children:
        start, size = each.number("start"), each.number("size")
        if each.compatible != "reserve-mem-v1" or start is None or size is None or start + size > 1 << 64:
            raise HandoverError(
                f"memblock: {each.name}: start and size in reserve-mem-v1 were expected", hint="the kernel is newer"
            )
        found.append(ReserveMem(each.name, start, size))
    return found


def read_kho_test(data: bytes) -> KhoTest:
    """The test module's tree. Raises HandoverError."""
    root = parse_fdt(data, "kho_test's device tree").root
    node = root.child("data")
    if root.compatible != "kho-test-v1" or root.number("magic", 4) != _TEST_MAGIC or node is None:
        raise HandoverError("kho_test: no tree of kho-test-v1 with its data", hint="the module is newer")
    count, checksum = node.number("nr_folios", 4), node.number("csum", 4)
    listed = node.properties.get("folios_info", b"")
    if count is None or checksum is None or not count:
        raise HandoverError("kho_test: nr_folios and csum of 4 bytes were expected", hint="the module is newer")
    area = read_vmalloc(listed) if len(listed) == SIZE else None
    if area is not None and area.size >= count * 8:
        return KhoTest(count, checksum, area)
    if len(listed) == count * 8:
        return KhoTest(count, checksum, None, tuple(u64(listed, at) for at in range(0, len(listed), 8)))
    raise HandoverError("kho_test: folios_info is no list of its folios", hint="the module is newer")
