"""Where kexec_file_load puts an image's parts: kexec_add_buffer and kexec_locate_mem_hole of kernel/kexec_file.c."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.kernel import rules
from warmboot.kernel.kimage import Kimage, KimageType
from warmboot.memmap import Range
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SHIFT, PAGE_SIZE, Segment, Source, page_align

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = ["KEXEC_BUF_MEM_UNKNOWN", "KexecBuf", "kexec_add_buffer", "kexec_locate_mem_hole"]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
KEXEC_BUF_MEM_UNKNOWN = 0  # no physical address that anything is put at


@dataclass(slots=True)
class KexecBuf:
    """struct kexec_buf: `bufsz` bytes of `buffer`, and where `memsz` bytes may lie, from `buf_min` up to `buf_max`
    inclusive, at a multiple of `buf_align`; physical. `name` is for people."""

    name: str
    buffer: Source
    bufsz: int
    memsz: int
    buf_align: int = 0
    buf_min: int = 0
    buf_max: int = _U64
    top_down: bool = False
    mem: int = KEXEC_BUF_MEM_UNKNOWN
    cma: range | None = None  # the frames, where it lies in contiguous memory


def kexec_add_buffer(kernel: KernelState, image: Kimage, kbuf: KexecBuf) -> Segment:
    """Find a place, and make the next segment of it. Raises KexecError: EADDRNOTAVAIL, or EINVAL for one too many."""
    if image.nr_segments >= KEXEC_SEGMENT_MAX:
        raise rules.SEGMENT_COUNT.refuse(
            f"no segment is left for the {kbuf.name}", addresses=(image.nr_segments + 1, KEXEC_SEGMENT_MAX)
        )
    kbuf.memsz = page_align(kbuf.memsz)
    kbuf.buf_align = max(kbuf.buf_align, PAGE_SIZE)
    kexec_locate_mem_hole(kernel, image, kbuf)
    segment = Segment(kbuf.buffer, kbuf.bufsz, kbuf.mem, kbuf.memsz, kbuf.name)
    if kbuf.cma is not None:
        image.segment_cma[image.nr_segments] = kbuf.cma
    image.segment.append(segment)
    return segment


def kexec_locate_mem_hole(kernel: KernelState, image: Kimage, kbuf: KexecBuf) -> None:
    """Set `kbuf.mem`, unless it is known. Raises KexecError: EADDRNOTAVAIL."""
    if kbuf.mem != KEXEC_BUF_MEM_UNKNOWN:
        return
    if kernel.kho is None and _kexec_alloc_contig(kernel, image, kbuf):
        return
    places = list(_places(kernel, image, kbuf))
    for each in places:
        mem = _locate_mem_hole(kernel, image, kbuf, each)
        if mem is not None:
            kbuf.mem = mem
            return
    raise _no_room(kernel, image, kbuf, places)


def _kexec_alloc_contig(kernel: KernelState, image: Kimage, kbuf: KexecBuf) -> bool:
    """Whether the buffer found room in contiguous memory: 6.17. Where it shall lie does not count, nor does more than a
    part of its alignment."""
    if kernel.cma is None or image.no_cma or image.type is KimageType.CRASH or not kernel.profile.takes_cma:
        return False
    frames = kernel.cma.alloc(kbuf.memsz >> PAGE_SHIFT, (kbuf.buf_align - 1 >> PAGE_SHIFT).bit_length())
    if frames is None:
        return False
    mem = frames.start << PAGE_SHIFT
    if image.segment_overlapping(mem, mem + kbuf.memsz) is not None:
        kernel.cma.release(frames)
        return False
    kbuf.mem, kbuf.cma = mem, frames
    return True


def _places(kernel: KernelState, image: Kimage, kbuf: KexecBuf) -> Iterator[Range]:
    """Where holes are looked for, in order: KHO's scratch, the crash reservation, or RAM, reservation included.

    RAM is walked from its end only since 6.8: before, the first range that has room is taken, of whatever kind.
    """
    if image.type is KimageType.CRASH:
        if kernel.crash.crashk_res is not None:
            yield kernel.crash.crashk_res
    elif kernel.kho is not None:
        yield from kernel.kho.scratch
    elif kbuf.top_down and kernel.profile.walks_ram_in_reverse:
        yield from reversed(kernel.system_ram)
    else:
        yield from kernel.system_ram


def _locate_mem_hole(kernel: KernelState, image: Kimage, kbuf: KexecBuf, where: Range) -> int | None:
    """locate_mem_hole_callback: a place in this range, or None."""
    last = where.end - 1
    if where.size < kbuf.memsz or last < kbuf.buf_min or where.start > kbuf.buf_max:
        return None
    if kbuf.top_down:
        first = min(last, kbuf.buf_max) - kbuf.memsz + int(kernel.profile.holes_reach_the_end)
        return _top_down(image, kbuf, where.start, first)
    return _bottom_up(image, kbuf, where.start, last)


def _top_down(image: Kimage, kbuf: KexecBuf, start: int, first: int) -> int | None:
    """From `first` down to `start`. Linux goes page by page; here what a segment takes is left behind at once."""
    mask, at = ~(kbuf.buf_align - 1), first
    regular = not kbuf.buf_align & (kbuf.buf_align - 1)  # an alignment that is no power of 2 is not refused
    while True:
        at &= mask
        if at < start or at < kbuf.buf_min:
            return None
        taken = image.segment_overlapping(at, at + kbuf.memsz - 1)
        if taken is None:
            return at
        at = taken.mem - kbuf.memsz if regular else at - PAGE_SIZE


def _bottom_up(image: Kimage, kbuf: KexecBuf, start: int, last: int) -> int | None:
    at = max(start, kbuf.buf_min)
    while True:
        at = -(-at // kbuf.buf_align) * kbuf.buf_align
        end = at + kbuf.memsz - 1
        if end > last or end > kbuf.buf_max:
            return None
        taken = image.segment_overlapping(at, end)
        if taken is None:
            return at
        at = max(taken.end, at + PAGE_SIZE)


def _no_room(kernel: KernelState, image: Kimage, kbuf: KexecBuf, places: list[Range]) -> rules.KexecError:
    crash = image.type is KimageType.CRASH
    if crash and not places:
        return rules.HOLE.refuse("there is no crash reservation to load into", addresses=(0,), hint=rules.CRASH_ROOM)
    within = [Range(max(each.start, min(kbuf.buf_min, each.end)), each.end) for each in places]
    largest = max((each.size for each in _left(within, image)), default=0)
    where, hint = "RAM", ""
    if crash:
        where, hint = "the crash reservation", rules.CRASH_ROOM
    elif kernel.kho is not None:
        where, hint = "KHO's scratch memory", rules.SCRATCH_ROOM
    return rules.HOLE.refuse(
        f"no room in {where} for the {kbuf.name}: {kbuf.memsz} bytes in one piece, the largest free range has"
        f" {largest}",
        addresses=(kbuf.memsz, largest),
        hint=hint,
    )


def _left(ranges: list[Range], image: Kimage) -> list[Range]:
    from warmboot.memmap import subtract  # noqa: PLC0415 - only a refusal asks

    return subtract(ranges, [Range(each.mem, each.end) for each in image.segment if each.end > each.mem])
