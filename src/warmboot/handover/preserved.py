"""The memory that a kernel preserves: pages and folios by their order, as its map lists them.

`kho-v2` and later have a radix tree (kho_radix_walk_tree of kernel/liveupdate/kexec_handover.c): six levels of pages of
4 KiB, the lowest of which are bitmaps. A key has one bit set above the shifted address, whose place tells the order.
`kho-v1` has chunks of pointers to bitmaps, a chain for each order (kho_mem_deserialize of kernel/kexec_handover.c).

Neither map is itself preserved: the next kernel reads it once, early, and then uses its pages as any others. So every
step is checked, and what was written over is told, not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from warmboot.errors import WarmbootError
from warmboot.handover.abi import MapKind
from warmboot.handover.interface import PAGE_SHIFT, PAGE_SIZE, PhysicalMemory, u64
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, merge

__all__ = ["PreservedMap", "read_map"]

_DEPTH = 6  # KHO_TREE_MAX_DEPTH for pages of 4 KiB: DIV_ROUND_UP(64 - 12 - 15 + 1, 9) + 1, and the same before kho-v4
_TABLE_LOG2 = 9
_BITMAP_LOG2 = 15
_ORDER_0_LOG2 = 64 - PAGE_SHIFT
_LARGEST_ORDER = 18  # 1 GiB; Linux's own MAX_PAGE_ORDER is 10 on x86_64
_MOST_NODES = 1 << 17  # 512 MiB of tree, which map 16 TiB in single pages
_MOST_RUNS = 1 << 21
_CHUNK_HEADER = 16  # bytes of struct khoser_mem_chunk_hdr
_POINTER = 16  # bytes of struct khoser_mem_bitmap_ptr
_OLD_BITMAP = 512  # bytes, up to 6.17; a page from 6.18 on, under the same version


@dataclass(slots=True)
class PreservedMap:
    """What the map lists: runs of physical addresses by order, lowest first, each made of whole folios of its order.

    `nodes` are the map's own pages, `damaged` those of them that cannot be what they should be.
    """

    orders: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    nodes: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    cut_short: bool = False
    _sets: dict[int, RangeSet] = field(default_factory=dict)

    @property
    def ranges(self) -> list[Range]:
        """All of it, merged."""
        return merge(Range(start, stop) for runs in self.orders.values() for start, stop in runs)

    def folios(self) -> dict[int, int]:
        """How many there are of each order."""
        return {
            order: sum(stop - start for start, stop in runs) >> (PAGE_SHIFT + order)
            for order, runs in sorted(self.orders.items())
            if runs
        }

    def folio_at(self, address: int) -> Range | None:
        """The folio that has this address; None where none has."""
        for order, runs in self.orders.items():
            if runs and address in self._set(order):
                start = address >> (PAGE_SHIFT + order) << (PAGE_SHIFT + order)
                return Range(start, start + (PAGE_SIZE << order))
        return None

    def single_pages(self) -> Iterator[int]:
        """The addresses of all pages of order 0."""
        for start, stop in self.orders.get(0, ()):
            yield from range(start, stop, PAGE_SIZE)

    def _set(self, order: int) -> RangeSet:
        found = self._sets.get(order)
        if found is None:
            found = self._sets[order] = RangeSet(self.orders[order])
        return found


def read_map(memory: PhysicalMemory, kind: MapKind, address: int) -> PreservedMap:
    """The map at a physical address."""
    reader = _Reader(memory)
    if kind is MapKind.RADIX:
        reader.radix(address, _DEPTH - 1, 0)
    else:
        reader.chunks(address)
    return reader.done()


class _Reader:
    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        self._top = max((each.stop for each in memory.ranges.runs()), default=0)
        self._seen = set[int]()
        self._found = PreservedMap()
        self._runs = 0

    def done(self) -> PreservedMap:
        """What was found, in order."""
        for order, runs in self._found.orders.items():
            self._found.orders[order] = [(each.start, each.end) for each in merge(Range(*each) for each in runs)]
        return self._found

    def radix(self, address: int, level: int, key: int) -> None:
        """The part of the tree below the node at `address`, all of whose keys begin with `key`."""
        page = self._node(address)
        if page is None:
            return
        if level == 0:
            self._leaf(address, page, key)
            return
        shift = (level - 1) * _TABLE_LOG2 + _BITMAP_LOG2
        entries = memoryview(page).cast("Q").tolist()
        if any(each % PAGE_SIZE or each >= self._top for each in entries):
            self._found.damaged.append(address)
            return
        for number, each in enumerate(entries):
            if each:
                self.radix(each, level - 1, key | number << shift)

    def _leaf(self, address: int, page: bytes, key: int) -> None:
        high = key.bit_length() - 1
        order = _ORDER_0_LOG2 - high
        if high < _BITMAP_LOG2 or not 0 <= order <= _LARGEST_ORDER:
            self._found.damaged.append(address)
            return
        base = key - (1 << high)
        shift = PAGE_SHIFT + order
        found = [((base + start) << shift, (base + stop) << shift) for start, stop in _bits(page)]
        self._add(address, order, found)

    def chunks(self, address: int) -> None:
        """The chain of struct khoser_mem_chunk that begins at `address`."""
        while address:
            page = self._node(address)
            if page is None:
                return
            order, count = int.from_bytes(page[8:12], "little"), int.from_bytes(page[12:16], "little")
            if order > _LARGEST_ORDER or count > (PAGE_SIZE - _CHUNK_HEADER) // _POINTER:
                self._found.damaged.append(address)
                return
            self._bitmaps(order, [(u64(page, at), u64(page, at + 8)) for at in _pointers(count)])
            address = u64(page)

    def _bitmaps(self, order: int, pointers: list[tuple[int, int]]) -> None:
        shift = PAGE_SHIFT + order
        whole = PAGE_SIZE * 8 << shift  # bytes that a bitmap of a page tells of
        paged = all(start % whole == 0 and bitmap % PAGE_SIZE == 0 for start, bitmap in pointers)
        for start, bitmap in pointers:
            data = self._node(bitmap, PAGE_SIZE if paged else _OLD_BITMAP)
            if data is not None:
                self._add(bitmap, order, [(start + (a << shift), start + (b << shift)) for a, b in _bits(data)])

    def _add(self, address: int, order: int, found: list[tuple[int, int]]) -> None:
        if any(stop > self._top for _, stop in found):
            self._found.damaged.append(address)
            return
        self._runs += len(found)
        self._found.orders.setdefault(order, []).extend(found)

    def _node(self, address: int, size: int = PAGE_SIZE) -> bytes | None:
        if len(self._seen) >= _MOST_NODES or self._runs > _MOST_RUNS:
            self._found.cut_short = True
            return None
        if address in self._seen or address % size or not address:
            self._found.damaged.append(address)
            return None
        self._seen.add(address)
        try:
            page = self._memory.physical(address, size)
        except WarmbootError:
            self._found.damaged.append(address)
            return None
        self._found.nodes.append(address)
        return page


def _pointers(count: int) -> Iterable[int]:
    return range(_CHUNK_HEADER, _CHUNK_HEADER + count * _POINTER, _POINTER)


def _bits(bitmap: bytes) -> Iterator[tuple[int, int]]:
    """Starts and stops of the runs of bits that are set."""
    begun = -1
    for number, word in enumerate(memoryview(bitmap).cast("Q").tolist()):
        at = number * 64
        if word == 0:
            if begun >= 0:
                yield begun, at
                begun = -1
        elif word == (1 << 64) - 1:
            begun = at if begun < 0 else begun
        else:
            bit = 0
            while bit < 64:
                rest = word >> bit
                if begun < 0:
                    if not rest:
                        break
                    bit += (rest & -rest).bit_length() - 1
                    begun = at + bit
                else:
                    zeros = ~rest & ((1 << 64 - bit) - 1)
                    if not zeros:
                        break
                    bit += (zeros & -zeros).bit_length() - 1
                    yield begun, at + bit
                    begun = -1
    if begun >= 0:
        yield begun, len(bitmap) * 8
