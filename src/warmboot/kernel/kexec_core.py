"""kexec's core: checks of the segments, control pages, source pages, page lists, and the freeing of an image."""

from __future__ import annotations

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
    "do_kimage_alloc_init",
    "kimage_alloc_control_pages",
    "kimage_alloc_page",
    "kimage_free",
    "kimage_load_segment",
    "kimage_terminate",
    "sanity_check_segment_list",
]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_NONE: Frames = np.empty(0, dtype=np.int64)
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
    """Blocks are taken until one is no destination; the others are held meanwhile, or they would come again."""
    count = 1 << order
    held: list[Frames] = []
    wanted = 1
    try:
        while True:
            if order == 0:
                frames = kernel.alloc_frames(wanted, caller)
                wanted = min(2 * wanted, _BATCH)  # destinations come in runs
            else:
                block = kernel.alloc_pages(order, caller)
                frames = _NONE if block is None else np.arange(block, block + count, dtype=np.int64)
            if not len(frames):
                return None
            held.append(frames)
            for first in frames[: len(frames) - count + 1][~image.are_destinations(frames)[: len(frames) - count + 1]]:
                end = int(first) + count
                if end < kernel.memory_limit_frames and not image.is_destination_range(
                    int(first) << PAGE_SHIFT, (end << PAGE_SHIFT) - 1
                ):
                    held[-1] = frames[(frames < first) | (frames >= end)]
                    image.control_pages.append((int(first), order))
                    return int(first)
    finally:
        for frames in held:
            kernel.pages.free_frames(frames)


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


def kimage_alloc_page(kernel: KernelState, image: Kimage, caller: Caller) -> int | None:
    """A frame that is nobody's destination, for an indirection page; None where memory ran out."""
    wanted = 1
    while len(frames := kernel.alloc_frames(wanted, caller)):
        usable, _ = _sort_frames(kernel, image, frames, 0, 0)
        if len(usable):
            kernel.pages.free_frames(usable[1:])
            return int(usable[0])
        wanted = min(2 * wanted, _BATCH)  # they come in runs
    return None


def _alloc_source_pages(kernel: KernelState, image: Kimage, first: int, count: int, caller: Caller) -> Frames:
    """Frames for the contents of `count` destinations from frame `first` on; fewer where memory runs out.

    The invariant is that of Linux's kimage_alloc_page: a source is its own destination, or no destination at all.
    Linux goes page by page and exchanges what turns out to be in the way; here a batch is settled at once.
    """
    frames = kernel.alloc_frames(count, caller)
    simple = len(frames) == count and not len(image.dest_pages) and not image.are_destinations(frames).any()
    if simple and int(frames.max(initial=0)) <= kernel.memory_limit_frames:
        return frames
    chosen = np.full(count, -1, dtype=np.int64)
    mine = (image.dest_pages >= first) & (image.dest_pages < first + count)
    chosen[image.dest_pages[mine] - first] = image.dest_pages[mine]
    image.dest_pages = image.dest_pages[~mine]
    spare = _NONE
    while len(frames):
        usable, own = _sort_frames(kernel, image, frames, first, count)
        replaced = chosen[own - first]
        chosen[own - first] = own
        spare = np.concatenate([spare, usable, replaced[replaced >= 0]])
        missing = np.flatnonzero(chosen < 0)
        chosen[missing[: len(spare)]] = spare[: len(missing)]
        missing, spare = missing[len(spare) :], spare[len(missing) :]
        frames = kernel.alloc_frames(len(missing), caller) if len(missing) else _NONE
    kernel.pages.free_frames(spare)
    gaps = np.flatnonzero(chosen < 0)
    if len(gaps):
        chosen, beyond = chosen[: gaps[0]], chosen[gaps[0] :]
        kernel.pages.free_frames(beyond[beyond >= 0])
    return chosen


def _sort_frames(kernel: KernelState, image: Kimage, frames: Frames, first: int, count: int) -> tuple[Frames, Frames]:
    """Which of fresh `frames` can be a source of any page, and which are among the `count` destinations from `first`.

    A frame that is the destination of a page loaded before becomes that page's source, and the one that this frees
    is as good as a fresh one. A frame whose page is still to come is kept until then.
    """
    image.unusable_pages += frames[frames > kernel.memory_limit_frames].tolist()
    frames = frames[frames <= kernel.memory_limit_frames]
    destinations = image.are_destinations(frames)
    usable = [frames[~destinations]]
    frames = frames[destinations]
    in_batch = (frames >= first) & (frames < first + count)
    own, frames = frames[in_batch], frames[~in_batch]
    for number, sources in enumerate(image.sources):
        page = frames - (image.segment[number].mem >> PAGE_SHIFT)
        inside = (page >= 0) & (page < len(sources))
        inside[inside] = sources[page[inside]] >= 0
        usable.append(_move_loaded(kernel, image, number, page[inside], frames[inside]))
        frames = frames[~inside]
    image.dest_pages = np.concatenate([image.dest_pages, frames])
    return np.concatenate(usable), own


def _move_loaded(kernel: KernelState, image: Kimage, number: int, pages: Frames, targets: Frames) -> Frames:
    """Make `targets` the sources of loaded `pages` of segment `number`; returns the frames that were."""
    old = image.sources[number][pages]
    kernel.memory.copy_pages(targets, old)
    image.sources[number][pages] = targets
    entries = image.first_entry[number] + pages
    indirection = np.array(image.indirection_pages, dtype=np.int64)[entries // ENTRIES_PER_PAGE]
    addresses = (indirection << PAGE_SHIFT) + 8 * (entries % ENTRIES_PER_PAGE)
    kernel.memory.scatter_words(addresses, targets << PAGE_SHIFT | Ind.SOURCE)
    return old


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
    frame = kimage_alloc_page(kernel, image, caller)
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

    done = 0
    while done < nr_pages:
        wanted = _batch(kernel, nr_pages - done)
        frames = _alloc_source_pages(kernel, image, first + done, wanted, caller)
        added = _kimage_add_entries(kernel, image, frames << PAGE_SHIFT | Ind.SOURCE, caller)
        # An indirection page's allocation may have moved earlier pages, but not these: they come after it.
        kernel.pages.free_frames(frames[added:])
        frames = frames[:added]
        sources[done : done + added] = frames
        _copy_pages(kernel, segment, number, frames, done * PAGE_SIZE)
        if added < wanted:
            raise _out_of_memory(number, done + added, nr_pages)
        done += added


def _batch(kernel: KernelState, rest: int) -> int:
    """How many of `rest` pages are loaded at once: as many as there is memory for, with their entries.

    So a source that faults is found before memory runs out behind it, as by Linux, which goes page by page.
    """
    wanted = min(_BATCH, rest)
    while wanted > 1 and wanted + wanted // ENTRIES_PER_PAGE + 1 > kernel.pages.left:
        wanted //= 2
    return wanted


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
