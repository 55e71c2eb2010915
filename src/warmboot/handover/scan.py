"""Looking through memory for what a handover leaves there: where nothing tells addresses, forms do.

A root FDT begins a page. What x86 hands to the next kernel is a setup_data of type SETUP_KEXEC_KHO with struct kho_data
(arch/x86/include/uapi/asm/setup_data.h). The scratch areas are an array at the start of a page (kho_reserve_scratch).
A memfd's and a session's structures begin pages of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from warmboot.errors import WarmbootError
from warmboot.handover.blocks import HEADER
from warmboot.handover.fdt import MAGIC
from warmboot.handover.interface import PAGE_SIZE, PhysicalMemory, u64
from warmboot.handover.luo import FILE, NAME, SESSION
from warmboot.handover.memfd import is_memfd
from warmboot.handover.root import Root, read_root
from warmboot.memmap.ranges import Range

__all__ = ["Found", "KhoData", "read_scratch", "scan", "session_block"]

_CHUNK = 4 << 20  # bytes that are read at once
_WORDS = PAGE_SIZE // 8
_MOST = 4096  # of each kind: a machine has a handful
_SETUP_KEXEC_KHO = 10
_KHO_DATA = 32  # bytes
_SETUP = (_SETUP_KEXEC_KHO).to_bytes(4, "little") + _KHO_DATA.to_bytes(4, "little")  # type, len
_SCRATCH_ALIGN = 2 << 20  # bytes: a page block, the least that any release aligned them to
_MOST_SCRATCH = 1026  # nodes and two
_BLANK = frozenset(range(32)) | frozenset(range(127, 160))


@dataclass(frozen=True, slots=True)
class KhoData:
    """struct kho_data: where the root FDT and the list of scratch areas are, physical addresses and bytes."""

    fdt: int
    scratch: int
    scratch_size: int


@dataclass(slots=True)
class Found:
    """What a look through memory found; all but the roots are told by their form alone."""

    roots: list[Root] = field(default_factory=list)
    data: list[KhoData] = field(default_factory=list)
    memfds: list[int] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    scratch: list[tuple[Range, ...]] = field(default_factory=list)


def scan(memory: PhysicalMemory) -> Found:
    """Look through all of it."""
    found = Found()
    top = max((each.stop for each in memory.ranges.runs()), default=0)
    for at, data in _pieces(memory):
        _roots(found, at, data)
        _setup(found, at, data)
        _pages(found, at, data, top)
    return found


def _pieces(memory: PhysicalMemory) -> Iterator[tuple[int, bytes]]:
    for run in getattr(memory, "filled", memory.ranges).runs():  # holes of a file have nothing
        at = -(-run.start // PAGE_SIZE) * PAGE_SIZE
        while at + PAGE_SIZE <= run.stop:
            size = min(_CHUNK, run.stop - at) & -PAGE_SIZE
            try:
                yield at, memory.physical(at, size)
            except WarmbootError:
                yield from _readable(memory, at, size)
            at += size


def _readable(memory: PhysicalMemory, at: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Page by page, where something in between cannot be read."""
    for page in range(at, at + size, PAGE_SIZE):
        try:
            yield page, memory.physical(page, PAGE_SIZE)
        except WarmbootError:
            continue


def _roots(found: Found, at: int, data: bytes) -> None:
    offset = data.find(MAGIC)
    while offset >= 0:
        if offset % PAGE_SIZE == 0 and b"kho-v" in data[offset : offset + PAGE_SIZE] and len(found.roots) < _MOST:
            with suppress(WarmbootError):
                found.roots.append(read_root(data[offset : offset + PAGE_SIZE], at + offset))
        offset = data.find(MAGIC, offset + 4)


def _setup(found: Found, at: int, data: bytes) -> None:
    del at
    offset = data.find(_SETUP)
    while offset >= 0:
        body = data[offset + 8 : offset + 8 + _KHO_DATA]
        if len(body) == _KHO_DATA and u64(body, 8) == PAGE_SIZE and len(found.data) < _MOST:
            fdt, scratch, size = u64(body), u64(body, 16), u64(body, 24)
            if fdt % PAGE_SIZE == 0 and scratch % PAGE_SIZE == 0 and size and size % 16 == 0:
                found.data.append(KhoData(fdt, scratch, size))
        offset = data.find(_SETUP, offset + 4)


def _pages(found: Found, at: int, data: bytes, top: int) -> None:
    words = memoryview(data).cast("Q")
    columns = (words[number::_WORDS].tolist() for number in range(4))
    for number, (a, b, c, d) in enumerate(zip(*columns, strict=True)):
        if not b:
            continue
        if (0 < d <= b or (0 < c <= b and d % PAGE_SIZE == 0)) and len(found.memfds) < _MOST:
            # A size, and no more folios than that: the fourth word, or the third where there are no seals.
            page = number * PAGE_SIZE
            if is_memfd(data[page : page + PAGE_SIZE], at + page) is not None:
                found.memfds.append(at + page)
                continue
        if b < _WORDS and a % PAGE_SIZE == 0 and a < top:
            page = number * PAGE_SIZE
            if len(found.sessions) < _MOST and session_block(data[page : page + PAGE_SIZE]):
                found.sessions.append(at + page)
        elif a and a % _SCRATCH_ALIGN == 0 and b % _SCRATCH_ALIGN == 0 and a + b <= top:
            page = number * PAGE_SIZE
            areas = read_scratch(data[page : page + PAGE_SIZE], top)
            if len(areas) >= 2 and areas not in found.scratch and len(found.scratch) < _MOST:
                found.scratch.append(areas)


def read_scratch(data: bytes, top: int) -> tuple[Range, ...]:
    """The scratch areas in an array of struct kho_scratch, up to the first entry that is none.

    An area may be empty: the one for any memory is, where all memory lies below 4 GiB.
    """
    areas = list[Range]()
    for at in range(0, min(len(data), _MOST_SCRATCH * 16) - 15, 16):
        start, size = u64(data, at), u64(data, at + 8)
        area = Range(start, start + size)
        if not start or start % _SCRATCH_ALIGN or size % _SCRATCH_ALIGN or area.end > top:
            break
        if not size:
            continue
        if any(area.overlaps(each) for each in areas):
            break
        areas.append(area)
    return tuple(areas)


def session_block(page: bytes) -> bool:
    """Whether a page is a block of sessions, by its form: names, and addresses of files."""
    count = u64(page, 8)
    if not 0 < count <= (PAGE_SIZE - HEADER) // SESSION:
        return False
    for at in range(HEADER, HEADER + count * SESSION, SESSION):
        files, number = u64(page, at + NAME), u64(page, at + NAME + 8)
        if not _named(page[at : at + NAME]) or files % PAGE_SIZE or bool(files) < bool(number):
            return False
        if number > PAGE_SIZE // FILE * 10_000:
            return False
    return not any(page[HEADER + count * SESSION :])


def _named(field_: bytes) -> bool:
    name, _, rest = field_.partition(b"\0")
    return bool(name) and len(name) < NAME and not any(rest) and not _BLANK.intersection(name)
