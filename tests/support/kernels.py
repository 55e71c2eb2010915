"""Helpers of the tests: a kernel on a small machine, requests, and walkers that know nothing of the model's own."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from warmboot.kernel import Facts, Ind, Kernel, Kimage, PageAllocator, PhysicalMemory, Policy
from warmboot.memmap import Range
from warmboot.uapi import PAGE_SIZE, KexecArch, KexecFlags, LoadRequest, Readable, Segment, Source

__all__ = [
    "CRASH",
    "KIB",
    "MIB",
    "OLDEST_TO_NEWEST",
    "More",
    "PageList",
    "alloc_frames",
    "crash_request",
    "facts_of",
    "free_frames",
    "held",
    "image_bytes",
    "kernel_of",
    "new_kernel",
    "pattern",
    "request",
    "segment",
    "translate",
    "walk_page_list",
]

KIB, MIB = 1 << 10, 1 << 20
OLDEST_TO_NEWEST = ("5.10.0", "6.1.0", "6.11.0", "6.12.0", "7.2.0")
CRASH = 16 * MIB  # bytes that machines with a reservation reserve


def pattern(size: int, seed: int = 0) -> bytes:
    """`size` bytes, of which no two pages are alike."""
    return hashlib.shake_128(seed.to_bytes(4, "little")).digest(size)


class Special(TypedDict, total=False):
    """Facts that a plain PC has not."""

    lockdown: str
    la57: bool
    gbpages: bool
    kexec_jump: bool
    kexec_load_limit_reboot: int


class More(Special, total=False):
    """What may be said of a machine besides the size of its memory."""

    release: str
    crashkernel: int
    low_crash: Range


def facts_of(
    memory: int = 64 * MIB,
    *,
    release: str = "6.12.0",
    crashkernel: int = 0,
    low_crash: Range | None = None,
    **special: Unpack[Special],
) -> Facts:
    """A PC; `low_crash` is a second reservation, below the first."""
    facts = replace(Facts.of_pc(memory, release=release, crashkernel=crashkernel), **special)
    if low_crash is None:
        return facts
    line = f"  {low_crash.start:08x}-{low_crash.end - 1:08x} : Crash kernel\n"
    before, nested, after = facts.iomem.partition("\n  ")
    return replace(facts, iomem=f"{before}\n{line}{nested[1:]}{after}")


@contextmanager
def kernel_of(facts: Facts, *, policy: Policy = Policy.CONTIGUOUS, seed: int = 0) -> Iterator[Kernel]:
    """A kernel on a machine of these facts, whose memory is gone behind the block."""
    low = max(each.end for each in facts.system_ram if each.end <= 4 << 30)
    high = max(4 << 30, *[each.end for each in facts.system_ram])
    with PhysicalMemory([Range(0, low), Range(4 << 30, high)]) as banks:
        yield Kernel(facts, banks, policy=policy, seed=seed)


@contextmanager
def new_kernel(
    memory: int = 64 * MIB, *, policy: Policy = Policy.CONTIGUOUS, seed: int = 0, **more: Unpack[More]
) -> Iterator[Kernel]:
    """A kernel on a PC."""
    with kernel_of(facts_of(memory, **more), policy=policy, seed=seed) as kernel:
        yield kernel


def segment(mem: int, memsz: int, data: bytes | Source = b"", *, bufsz: int | None = None, missing: int = 0) -> Segment:
    """A segment; `missing` bytes more than `data` has are announced, and fault when they are read."""
    source = Readable.of(data) if isinstance(data, bytes) else data
    return Segment(source, source.readable + missing if bufsz is None else bufsz, mem, memsz)


def request(*segments: Segment, entry: int | None = None, flags: int = 0) -> LoadRequest:
    """A request that enters at its first segment, unless told otherwise."""
    if entry is None:
        entry = segments[0].mem if segments else 0
    return LoadRequest(entry, segments, KexecArch.X86_64 | flags)


def crash_request(*segments: Segment, entry: int | None = None) -> LoadRequest:
    """The same for a crash image."""
    return request(*segments, entry=entry, flags=KexecFlags.ON_CRASH)


def held(kernel: Kernel) -> int:
    """Pages that the installed images hold: all that may be allocated between two calls."""
    return sum(image.nr_pages for image in (kernel.kexec_image, kernel.kexec_crash_image) if image is not None)


def alloc_frames(pages: PageAllocator, count: int) -> list[int]:
    """Up to `count` frames, fewer where memory runs out."""
    found: list[int] = []
    while len(found) < count and (frames := pages.alloc_run(count - len(found))):
        found += frames
    return found


def free_frames(pages: PageAllocator, frames: Iterable[int]) -> None:
    """Give them back, one by one."""
    for frame in frames:
        pages.free_pages(frame)


@dataclass(frozen=True)
class PageList:
    """A page list as it lies in memory: (destination, source) addresses of pages, and the indirection pages' own."""

    pages: Sequence[tuple[int, int]]
    indirections: Sequence[int]
    entries: Sequence[int]  # of each indirection page, its link or end not counted


def walk_page_list(memory: PhysicalMemory, head: int) -> PageList:
    """Walk from an image's head as relocation code does: one entry after the other until the end."""
    pages: list[tuple[int, int]] = []
    indirections: list[int] = []
    entries: list[int] = []
    entry, at, destination = head, 0, 0
    while not entry & Ind.DONE:
        kind, address = entry & (PAGE_SIZE - 1), entry & ~(PAGE_SIZE - 1)
        if kind == Ind.INDIRECTION:
            indirections.append(address)
            entries.append(0)
            at = address
        else:
            entries[-1] += 1
            if kind == Ind.DESTINATION:
                destination = address
            else:
                assert kind == Ind.SOURCE, hex(entry)
                pages.append((destination, address))
                destination += PAGE_SIZE
        entry = struct.unpack("<Q", memory.read(at, 8))[0]
        at += 8
    assert entry == Ind.DONE
    return PageList(pages, indirections, entries)


def image_bytes(memory: PhysicalMemory, image: Kimage) -> dict[int, bytes]:
    """What the new kernel will find: the contents of each destination page."""
    return {
        destination: memory.read(source, PAGE_SIZE) for destination, source in walk_page_list(memory, image.head).pages
    }


_PRESENT, _LARGE = 0x1, 0x80
_ADDRESS = 0x000F_FFFF_FFFF_F000


def translate(memory: PhysicalMemory, cr3: int, virtual: int, *, levels: int) -> tuple[int, int] | None:
    """The physical address of `virtual` and the size of the page it is in, by the tables at `cr3`; None: a fault."""
    table = cr3 & _ADDRESS
    for level in range(levels, 0, -1):
        shift = 12 + 9 * (level - 1)
        entry = struct.unpack("<Q", memory.read(table + 8 * (virtual >> shift & 511), 8))[0]
        if not entry & _PRESENT:
            return None
        table = entry & _ADDRESS
        if level == 1 or entry & _LARGE:
            assert level <= 3
            size = 1 << shift
            assert table % size == 0
            return table + virtual % size, size
    raise AssertionError
