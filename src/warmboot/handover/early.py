"""What Linux has reserved for itself before its page allocator starts: what KHO's scratch areas are measured by.

That is memblock's MEMBLOCK_RSRV_KERN (memblock_reserved_kern_size) when kho_memory_init runs: the kernel and its
initrd, the crash reservation, the page structures, hash tables, processors' areas, bounce buffers, huge pages that are
asked for at boot. Most of it follows from the machine by rules; each part here says whether it does, or is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from warmboot import command_line
from warmboot.errors import InputError
from warmboot.memmap import Facts
from warmboot.memmap.facts import parse_size
from warmboot.memmap.ranges import Range
from warmboot.uapi import PAGE_SIZE

__all__ = ["FOUR_GIB", "Part", "early_parts"]

FOUR_GIB = 1 << 32  # ARCH_LOW_ADDRESS_LIMIT and one
_SECTION = 128 << 20  # bytes of memory with one piece of the page structures (SECTION_SIZE_BITS)
_STRUCT_PAGE = 64  # bytes
_HASHES = (("dentry", 13), ("inode", 14))  # one bucket of 8 bytes for each 2^n bytes (fs/dcache.c, fs/inode.c)
_BUCKET = 8
_ADAPT_PAGES = (64 << 30) // PAGE_SIZE  # ADAPT_SCALE_NPAGES: beyond it tables grow by half as much
_SWIOTLB = 64 << 20  # IO_TLB_DEFAULT_SIZE
_SWIOTLB_SLOT = 24  # bytes of struct io_tlb_slot, one for each 2 KiB
_PERCPU = 256 << 10  # bytes a processor has where nobody says
_NODE = 176 << 10  # pg_data_t, and what belongs to it
_ODDS = 256 << 10  # brk, page tables, firmware's tables, the trampoline
_SECTION_ROOTS = 1 << 20  # bytes of the table of sections where there are five levels of page tables, else next to none
_LOG, _LOG_OF_A_CPU = 1 << 17, 1 << 12  # CONFIG_LOG_BUF_SHIFT, CONFIG_LOG_CPU_MAX_BUF_SHIFT as they are by default
_LOG_RECORD, _LOG_RECORD_TAKES = 32, 24 + 112  # a descriptor and its information for each 32 bytes of the log
_MOST_REGIONS = 8  # of reserve_mem= (RESERVE_MEM_MAX_ENTRIES)
_MOST_LOG = 1 << 31
_GIGANTIC = 1 << 30
_KERNEL_WITHOUT_ADDRESSES = 48 << 20
_MOST_PAGES = 1 << 20  # of 1 GiB


@dataclass(frozen=True, slots=True)
class Part:
    """Something reserved: `low` bytes of it lie below 4 GiB. `node` is whose it is, None for nobody's.

    `exact` is whether a rule gives it; else it is assumed. `again` is whether the next kernel needs as much.
    """

    name: str
    low: int
    high: int
    node: int | None
    exact: bool
    why: str
    again: bool = True

    @property
    def size(self) -> int:
        """All of it."""
        return self.low + self.high


def early_parts(
    facts: Facts, *, initrd: int | None, percpu: int | None, kernel: int | None, numa: bool
) -> tuple[Part, ...]:
    """What is reserved early on that machine, the largest first.

    `initrd`, `percpu` and `kernel` are bytes, the second of one processor, the last of a kernel that stands in where
    /proc/iomem does not show the running one; None where they are not known. `numa` is CONFIG_NUMA.
    """
    run = _Machine(facts, command_line.parse(facts.cmdline), numa=numa)
    found = [
        *(run.kernel(kernel), run.initrd(initrd)),
        *run.crash_kernel(),
        *run.page_structures(),
        *run.hash_tables(),
        *run.bounce_buffers(),
        *run.huge_pages(),
        *run.contiguous(),
        *run.log_buffer(),
        *run.processors(percpu),
        *run.nodes(),
    ]
    return tuple(sorted((each for each in found if each.size), key=lambda part: -part.size))


class _Machine:
    def __init__(self, facts: Facts, line: command_line.CommandLine, *, numa: bool) -> None:
        self._facts, self._line, self._numa = facts, line, numa
        self._memory = sum(each.size for each in facts.system_ram)
        self._above = facts.system_ram[-1].end > FOUR_GIB
        nodes = facts.numa_nodes if numa else None
        self._node_ranges = {each.node: each.memory for each in nodes or () if each.memory} or {
            0: tuple(facts.system_ram)
        }

    def kernel(self, like: int | None) -> Part:
        """Text to bss, with what is freed after the start, and brk."""
        pieces = self._facts.kernel_image
        exact = bool(pieces) and pieces[0].start > 0
        whole = (
            Range(min(each.start for each in pieces), max(each.end for each in pieces))
            if exact
            else Range(_SECTION, _SECTION + (like or _KERNEL_WITHOUT_ADDRESSES))
        )
        why = "from its text to its last variable, as /proc/iomem has it" if exact else "/proc/iomem does not show it"
        return _at("the kernel", whole, 0, exact=exact, why=why)

    def initrd(self, size: int | None) -> Part:
        """As large as it was given, as it lies where the boot loader put it: below 4 GiB."""
        rounded = -(-(size or 0) // PAGE_SIZE) * PAGE_SIZE
        why = "as large as its file" if size is not None else "not known: give it with --initrd"
        return Part("the initrd", rounded, 0, 0, size is not None, why)

    def crash_kernel(self) -> Iterator[Part]:
        """Reservations of crashkernel=, which count like everything else."""
        for each in self._facts.crash_kernel:
            yield _at("the crash reservation", each, None, exact=True, why="crashkernel=, as /proc/iomem has it")

    def page_structures(self) -> Iterator[Part]:
        """struct page, for whole sections; those of huge pages are given back later."""
        for node, ranges in sorted(self._node_ranges.items()):
            sections = _sections(ranges)
            size = sections * (_SECTION // PAGE_SIZE) * _STRUCT_PAGE
            why = f"{_STRUCT_PAGE} bytes for each page of {sections} sections of 128 MiB"
            yield self._anywhere("page structures", size, node, why=why)

    def hash_tables(self) -> Iterator[Part]:
        """Of several nodes they are not allocated early (hashdist)."""
        if len(self._node_ranges) > 1:
            return
        pages = -(-self._memory // (1 << 20)) * (1 << 20) // PAGE_SIZE
        size = sum(_hash_table(pages, scale) for _, scale in _HASHES)
        yield self._anywhere("hash tables", size, None, why="of directory entries and inodes, by memory")

    def bounce_buffers(self) -> Iterator[Part]:
        """swiotlb, where there is memory above 4 GiB; an IOMMU frees it later, when it has been counted."""
        asked = self._line.get("swiotlb") or ""
        if "noforce" in asked or (not self._above and "force" not in asked) or self._line.get("iommu") == "off":
            return
        slabs = re.match(r"[0-9]{1,9}", asked)
        size = max(int(slabs[0]), 1) << 11 if slabs else _SWIOTLB
        why = "swiotlb: 64 MiB below 4 GiB, as there is memory above" if not slabs else f"swiotlb={asked[:20]}"
        yield Part("bounce buffers", size, 0, None, True, why)
        yield self._anywhere("their slots", size // 2048 * _SWIOTLB_SLOT, None, why="24 bytes for each 2 KiB")

    def huge_pages(self) -> Iterator[Part]:
        """Of 1 GiB: those are taken at boot; smaller ones are not."""
        sizes, count = "", 0
        for name, value in self._line.parameters:
            if name == "hugepagesz":
                sizes = (value or "").upper()
            elif name == "hugepages" and sizes == "1G" and (value or "").isdecimal() and len(value or "") < 8:
                count = int(value or "")
        size = min(count, _MOST_PAGES) * _GIGANTIC
        yield self._anywhere("huge pages of 1 GiB", size, None, why="hugepages=, taken at boot")

    def contiguous(self) -> Iterator[Part]:
        """cma=, an area of its own, and regions of reserve_mem=."""
        value = (self._line.get("cma") or "").partition("@")[0]
        yield self._anywhere("cma=", _size(value), None, why="as the command line has it", low=True)
        regions = self._line.all("reserve_mem")[:_MOST_REGIONS]
        size = sum(_size(each.partition(":")[0]) for each in regions)
        yield self._anywhere("reserve_mem=", size, None, why=f"{len(regions)} regions that the command line names")

    def log_buffer(self) -> Iterator[Part]:
        """One that is larger than the kernel's own: log_buf_len=, or where there are many processors."""
        asked = _size(self._line.get("log_buf_len") or "")
        more = (self._facts.cpus - 1) * _LOG_OF_A_CPU
        if not asked and more > _LOG // 2:
            asked = _LOG + more
        length = 1 << (min(asked, _MOST_LOG) - 1).bit_length() if asked > _LOG else 0
        size = length + length // _LOG_RECORD * _LOG_RECORD_TAKES
        last = max(self._node_ranges, key=lambda node: max(each.end for each in self._node_ranges[node]))
        yield self._anywhere("the log", size, last, why="log_buf_len=, or many processors; four times over for records")

    def processors(self, percpu: int | None) -> Iterator[Part]:
        """Static variables of processors, and room for more."""
        each = _PERCPU if percpu is None else percpu + (36 << 10)  # PERCPU_MODULE_RESERVE, PERCPU_DYNAMIC_RESERVE
        each = -(-each // PAGE_SIZE) * PAGE_SIZE
        nodes = self._facts.numa_nodes if self._numa else None
        told = {each.node: len(each.cpus) for each in nodes or () if each.cpus} or {0: self._facts.cpus}
        for node, cpus in sorted(told.items()):
            why = f"{cpus} processors"
            part = self._anywhere("processors' areas", cpus * each, node, why=why, exact=percpu is not None)
            yield part

    def nodes(self) -> Iterator[Part]:
        """What each node has, and odds and ends."""
        for node in sorted(self._node_ranges):
            yield self._anywhere("the node itself", _NODE, node, why="assumed", exact=False)
        if self._facts.la57:
            why = "as the processor pages with five levels"
            yield self._anywhere("the table of sections", _SECTION_ROOTS, None, why=why)
        yield self._anywhere("odds and ends", _ODDS, None, why="assumed: page tables, firmware's tables", exact=False)

    def _anywhere(
        self, name: str, size: int, node: int | None, *, why: str, exact: bool = True, low: bool = False
    ) -> Part:
        """Memory that is allocated from the top down, of a node from its own top."""
        ranges = self._node_ranges.get(0 if node is None else node, ())
        above = self._above if node is None or not ranges else max(each.end for each in ranges) > FOUR_GIB
        below = low or not above
        return Part(name, size if below else 0, 0 if below else size, node, exact, why)


def _at(name: str, where: Range, node: int | None, *, exact: bool, why: str) -> Part:
    low = max(0, min(where.end, FOUR_GIB) - where.start)
    return Part(name, low, where.size - low, node, exact, why)


def _size(text: str) -> int:
    """A size of the command line, 0 where there is none."""
    try:
        return parse_size(text) if text else 0
    except InputError:
        return 0


def _sections(ranges: Iterable[Range]) -> int:
    """How many sections of 128 MiB have any of that memory."""
    count, done = 0, 0
    for each in sorted(ranges):
        first, end = max(each.start // _SECTION, done), -(-each.end // _SECTION)
        count += max(0, end - first)
        done = max(done, end)
    return count


def _hash_table(pages: int, scale: int) -> int:
    """Bytes of a hash table (alloc_large_system_hash)."""
    limit = _ADAPT_PAGES
    while limit < pages:
        scale += 1
        limit <<= 2
    entries = max(pages >> (scale - 12), PAGE_SIZE // _BUCKET)
    return (1 << (entries - 1).bit_length()) * _BUCKET
