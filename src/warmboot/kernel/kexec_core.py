"""kexec's core: checks of the segments, control pages, source pages, page lists, and the freeing of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from warmboot.kernel import rules
from warmboot.kernel.kimage import ENTRIES_PER_PAGE, Ind, Kimage, KimageType
from warmboot.kernel.memory import Frames
from warmboot.kernel.security import Caller
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Segment

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = [
    "KIMAGE_NO_DEST",
    "do_kimage_alloc_init",
    "kimage_alloc_control_pages",
    "kimage_alloc_page",
    "kimage_free",
    "kimage_load_segment",
    "kimage_terminate",
    "sanity_check_segment_list",
]

KIMAGE_NO_DEST = -1  # a frame that is nobody's destination
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_BATCH = 1 << 14  # pages that are allocated and copied at once


def do_kimage_alloc_init(kernel: KernelState, entry: int, segments: list[Segment]) -> Kimage:
    """An empty image of type DEFAULT; `entry` is a physical address."""
    return Kimage(entry, segments, end_is_inclusive=kernel.profile.destination_end_inclusive)


def sanity_check_segment_list(kernel: KernelState, image: Kimage) -> None:
    """Refuse segments that cannot be loaded: every rule of Linux, in its order. Raises KexecError."""
    _check_addresses(kernel, image)
    _check_overlap(kernel, image)
    _check_sizes(kernel, image)
    if image.type is KimageType.CRASH:
        _check_crash_range(kernel, image)


def _check_addresses(kernel: KernelState, image: Kimage) -> None:
    for number, each in enumerate(image.segment):
        end = (each.mem + each.memsz) & _U64
        where = (each.mem, each.memsz)
        if each.mem > end:
            raise rules.SEGMENT_WRAPS.refuse(
                f"segment {number} from {each.mem:#x} with {each.memsz:#x} bytes passes the last address",
                segment=number,
                addresses=where,
            )
        if each.mem % PAGE_SIZE or end % PAGE_SIZE:
            raise rules.PAGE_ALIGNMENT.refuse(
                f"segment {number} from {each.mem:#x} to {end:#x} is not made of whole pages",
                segment=number,
                addresses=where,
            )
        if end >= kernel.destination_memory_limit:
            raise rules.DESTINATION_LIMIT.refuse(
                f"segment {number} ends at {end:#x}, the limit is {kernel.destination_memory_limit:#x}",
                segment=number,
                addresses=where,
            )
    for rule in (rules.SEGMENT_WRAPS, rules.PAGE_ALIGNMENT, rules.DESTINATION_LIMIT):
        kernel.passed(rule)


def _check_overlap(kernel: KernelState, image: Kimage) -> None:
    for number, each in enumerate(image.segment):
        for other, earlier in enumerate(image.segment[:number]):
            if each.end > earlier.mem and each.mem < earlier.end:
                raise rules.OVERLAP.refuse(
                    f"segment {number} ({each.mem:#x}-{each.end - 1:#x}) and segment {other}"
                    f" ({earlier.mem:#x}-{earlier.end - 1:#x}) overlap",
                    segment=number,
                    addresses=(each.mem, earlier.mem),
                )
    kernel.passed(rules.OVERLAP)


def _check_sizes(kernel: KernelState, image: Kimage) -> None:
    for number, each in enumerate(image.segment):
        if each.bufsz > each.memsz:
            raise rules.BUFFER_SIZE.refuse(
                f"segment {number} has {each.bufsz} bytes for {each.memsz} bytes of memory",
                segment=number,
                addresses=(each.bufsz, each.memsz),
            )
    kernel.passed(rules.BUFFER_SIZE)

    half = kernel.totalram_pages // 2
    total = 0
    for number, each in enumerate(image.segment):
        total += each.memsz >> PAGE_SHIFT
        if each.memsz >> PAGE_SHIFT > half:
            raise rules.HALF_OF_MEMORY.refuse(
                f"segment {number} takes {each.memsz >> PAGE_SHIFT} pages, half of memory is {half}",
                segment=number,
                addresses=(each.memsz >> PAGE_SHIFT, half),
            )
    if total > half:
        raise rules.HALF_OF_MEMORY.refuse(
            f"all segments take {total} pages, half of memory is {half}", addresses=(total, half)
        )
    kernel.passed(rules.HALF_OF_MEMORY)


def _check_crash_range(kernel: KernelState, image: Kimage) -> None:
    start, last = kernel.crash.start, kernel.crash.last
    for number, each in enumerate(image.segment):
        if each.mem < start or (each.mem + each.memsz - 1) & _U64 > last:
            raise rules.CRASH_RANGE.refuse(
                f"segment {number} ({each.mem:#x}-{each.end - 1:#x}) is outside the crash reservation"
                f" ({start:#x}-{last:#x})",
                segment=number,
                addresses=(each.mem, each.end, start, last),
            )
    kernel.passed(rules.CRASH_RANGE)


def kimage_alloc_control_pages(kernel: KernelState, image: Kimage, order: int, caller: Caller) -> int | None:
    """The first of 2**order frames that no destination will overwrite, or None. Their contents are undefined."""
    if image.type is KimageType.CRASH:
        return _kimage_alloc_crash_control_pages(kernel, image, order)
    return _kimage_alloc_normal_control_pages(kernel, image, order, caller)


def _kimage_alloc_normal_control_pages(kernel: KernelState, image: Kimage, order: int, caller: Caller) -> int | None:
    extra_pages: list[int] = []
    try:
        while True:
            first = kernel.alloc_pages(order, caller)
            if first is None:
                return None
            end = first + (1 << order)
            if end < kernel.memory_limit_frames and not image.is_destination_range(
                first << PAGE_SHIFT, (end << PAGE_SHIFT) - 1
            ):
                image.control_pages.append((first, order))
                return first
            extra_pages.append(first)
    finally:
        for first in extra_pages:
            kernel.pages.free_pages(first, order)


def _kimage_alloc_crash_control_pages(kernel: KernelState, image: Kimage, order: int) -> int | None:
    """The first hole of the reservation that no segment touches, from the last control page on."""
    size = PAGE_SIZE << order
    hole_start = -(-image.control_page // size) * size
    while hole_start + size - 1 <= min(kernel.crash.last, kernel.destination_memory_limit):
        taken = image.segment_overlapping(hole_start, hole_start + size - 1)
        if taken is None:
            image.control_page = hole_start + size
            return hole_start >> PAGE_SHIFT
        hole_start = -(-((taken.mem + taken.memsz - 1) & _U64) // size) * size
    return None


def kimage_alloc_page(kernel: KernelState, image: Kimage, destination: int, caller: Caller) -> int | None:
    """A frame for the contents of frame `destination`, or for an indirection page; None where memory ran out.

    The invariant of Linux's kimage_alloc_page holds: a source page is its own destination, or no destination.
    """
    return _alloc_page(kernel, image, destination, lambda: kernel.alloc_pages(0, caller), _no_move)


def _no_move(frame: int) -> int | None:
    return None


def _alloc_page(
    kernel: KernelState,
    image: Kimage,
    destination: int,
    next_frame: Callable[[], int | None],
    move_unloaded: Callable[[int], int | None],
) -> int | None:
    """One page, from `next_frame`; `move_unloaded` gives a frame to a page whose contents are not loaded yet.

    A frame that is a destination goes to the page that belongs there, where that already has a source, and the
    freed source is used instead; else it is kept until that page's turn.
    """
    if destination in image.dest_pages:
        del image.dest_pages[destination]
        return destination
    while (frame := next_frame()) is not None:
        if frame > kernel.memory_limit_frames:
            image.unusable_pages.append(frame)
            continue
        address = frame << PAGE_SHIFT
        if frame == destination or not image.is_destination_range(address, address + PAGE_SIZE - 1):
            return frame
        freed = move_unloaded(frame)
        if freed is None:
            freed = _move_loaded(kernel, image, frame)
        if freed is not None:
            return freed
        image.dest_pages[frame] = None
    return None


def _move_loaded(kernel: KernelState, image: Kimage, frame: int) -> int | None:
    """Bring the page whose destination is `frame` there, if it is loaded; returns the frame that it leaves."""
    found = image.find_source(frame)
    if found is None:
        return None
    number, page = found
    old = int(image.sources[number][page])
    kernel.memory.copy_page(frame, old)
    image.sources[number][page] = frame
    address = image.entry_address(image.first_entry[number] + page)
    kernel.memory.write_words(address, np.array([frame << PAGE_SHIFT | Ind.SOURCE], dtype=np.uint64))
    return old


def _alloc_source_pages(kernel: KernelState, image: Kimage, first: int, count: int, caller: Caller) -> Frames:
    """Frames for the contents of `count` destinations from frame `first` on; fewer where memory runs out.

    The same as kimage_alloc_page for each; where no frame is a destination, which is nearly always, at once.
    """
    frames = kernel.alloc_frames(count, caller)
    usable = not len(frames) or int(frames.max()) <= kernel.memory_limit_frames
    if usable and not image.dest_pages and not image.are_destinations(frames).any():
        return frames
    queue = frames[::-1].tolist()
    chosen: list[int] = []

    def next_frame() -> int | None:
        return queue.pop() if queue else kernel.alloc_pages(0, caller)

    def move_unloaded(frame: int) -> int | None:
        page = frame - first
        if not 0 <= page < len(chosen):
            return None
        old, chosen[page] = chosen[page], frame
        return old

    while len(chosen) < count:
        frame = _alloc_page(kernel, image, first + len(chosen), next_frame, move_unloaded)
        if frame is None:
            break
        chosen.append(frame)
    kernel.pages.free_frames(np.array(queue, dtype=np.int64))
    return np.array(chosen, dtype=np.int64)


def _kimage_add_entries(kernel: KernelState, image: Kimage, entries: Frames, caller: Caller) -> int:
    """Put entries (kimage_entry_t) behind the page list; returns how many, fewer where memory ran out."""
    done = 0
    while done < len(entries):
        slot = image.nr_entries % ENTRIES_PER_PAGE
        if slot == 0 and not _add_indirection_page(kernel, image, caller):
            break
        part = entries[done : done + ENTRIES_PER_PAGE - slot]
        kernel.memory.write_words(image.entry_address(image.nr_entries), part.astype(np.uint64))
        image.nr_entries += len(part)
        done += len(part)
    return done


def _add_indirection_page(kernel: KernelState, image: Kimage, caller: Caller) -> bool:
    frame = kimage_alloc_page(kernel, image, KIMAGE_NO_DEST, caller)
    if frame is None:
        return False
    address = frame << PAGE_SHIFT
    kernel.memory.clear(address, PAGE_SIZE)
    if image.indirection_pages:
        last_word = (image.indirection_pages[-1] << PAGE_SHIFT) + 8 * ENTRIES_PER_PAGE
        kernel.memory.write_words(last_word, np.array([address | Ind.INDIRECTION], dtype=np.uint64))
    else:
        image.head = address | Ind.INDIRECTION
    image.indirection_pages.append(frame)
    return True


def kimage_terminate(kernel: KernelState, image: Kimage) -> None:
    """Close the page list."""
    if not image.nr_entries:
        image.head = Ind.DONE
        return
    last = image.entry_address(image.nr_entries - 1)
    kernel.memory.write_words(last + 8, np.array([Ind.DONE], dtype=np.uint64))


def kimage_load_segment(kernel: KernelState, image: Kimage, number: int, caller: Caller) -> None:
    """Copy segment `number` from its source: to page lists, or straight into the crash reservation.

    The rest of memsz is zero. Raises KexecError: ENOMEM, or EFAULT where the source cannot be read, whichever page
    comes first.
    """
    if image.type is KimageType.CRASH:
        _kimage_load_crash_segment(kernel, image, number)
    else:
        _kimage_load_normal_segment(kernel, image, number, caller)


def _kimage_load_normal_segment(kernel: KernelState, image: Kimage, number: int, caller: Caller) -> None:
    segment = image.segment[number]
    first, nr_pages = segment.mem >> PAGE_SHIFT, segment.memsz >> PAGE_SHIFT
    if not _kimage_add_entries(kernel, image, np.array([segment.mem | Ind.DESTINATION]), caller):
        raise _out_of_memory(number, 0, nr_pages)
    sources = np.full(nr_pages, -1, dtype=np.int64)
    image.sources.append(sources)
    image.first_entry.append(image.nr_entries)

    for done in range(0, nr_pages, _BATCH):
        wanted = min(_BATCH, nr_pages - done)
        frames = _alloc_source_pages(kernel, image, first + done, wanted, caller)
        added = _kimage_add_entries(kernel, image, frames << PAGE_SHIFT | Ind.SOURCE, caller)
        # An indirection page's allocation may have moved earlier pages, but not these: they come after it.
        kernel.pages.free_frames(frames[added:])
        frames = frames[:added]
        sources[done : done + added] = frames
        _copy_pages(kernel, segment, number, frames, done * PAGE_SIZE)
        if added < wanted:
            raise _out_of_memory(number, done + added, nr_pages)


def _copy_pages(kernel: KernelState, segment: Segment, number: int, frames: Frames, offset: int) -> None:
    """Fill `frames` with the source from byte `offset` on, then zeros."""
    size = len(frames) * PAGE_SIZE
    asked = max(0, min(segment.bufsz - offset, size))
    given = max(0, min(segment.buf.readable - offset, asked))
    kernel.memory.copy_pages_from(frames, segment.buf, offset, given)
    whole, rest = divmod(given, PAGE_SIZE)
    if rest:
        kernel.memory.clear((int(frames[whole]) << PAGE_SHIFT) + rest, PAGE_SIZE - rest)
        whole += 1
    kernel.memory.clear_pages(frames[whole:])
    kernel.progress(size)
    if given < asked:
        raise _fault(segment, number)


def _kimage_load_crash_segment(kernel: KernelState, image: Kimage, number: int) -> None:
    segment = image.segment[number]
    kernel.crash.check_writable()
    given = min(segment.bufsz, segment.buf.readable)
    kernel.memory.copy_from(segment.mem, segment.buf, 0, given, kernel.progress)
    if given < segment.bufsz:
        raise _fault(segment, number)
    kernel.memory.clear(segment.mem + given, segment.memsz - given)
    kernel.progress(segment.memsz - given)


def kimage_free(kernel: KernelState, image: Kimage | None) -> None:
    """Give back every page of an image, however far its loading came."""
    if image is None:
        return
    for frames in image.pages():
        kernel.pages.free_frames(frames)
    for first, order in image.control_pages:
        kernel.pages.free_pages(first, order)


def _out_of_memory(number: int, page: int, nr_pages: int) -> rules.KexecError:
    return rules.SOURCE_PAGES.refuse(
        f"memory ran out at page {page} of {nr_pages} of segment {number}", segment=number, addresses=(page, nr_pages)
    )


def _fault(segment: Segment, number: int) -> rules.KexecError:
    return rules.SOURCE_FAULT.refuse(
        f"segment {number}: only {segment.buf.readable} of {segment.bufsz} bytes at buf can be read",
        segment=number,
        addresses=(segment.buf.readable, segment.bufsz),
    )
