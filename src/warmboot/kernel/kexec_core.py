"""kexec's core: checks of the segments, control pages, source pages, page lists, and the freeing of an image."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from warmboot.kernel import rules
from warmboot.kernel.kimage import ENTRIES_PER_PAGE, Ind, Kimage, KimageType
from warmboot.kernel.security import Caller
from warmboot.memmap.range_set import RangeSet
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Segment

if TYPE_CHECKING:
    from warmboot.kernel.state import KernelState

__all__ = [
    "do_kimage_alloc_init",
    "kimage_alloc_control_pages",
    "kimage_alloc_table_pages",
    "kimage_free",
    "kimage_load_segment",
    "kimage_terminate",
    "sanity_check_segment_list",
]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_NOTHING = range(0)
_NO_DEST = -1  # KIMAGE_NO_DEST: contents that stay where they are
# Looked up once: members of enums, and operations of flags, are slow.
_CRASH = KimageType.CRASH
_DESTINATION, _INDIRECTION, _DONE, _SOURCE = map(int, Ind)


def do_kimage_alloc_init(kernel: KernelState, entry: int, segments: list[Segment]) -> Kimage:
    """An empty image of type DEFAULT; `entry` is a physical address."""
    return Kimage(entry, segments, end_is_inclusive=kernel.profile.destination_end_inclusive)


def sanity_check_segment_list(kernel: KernelState, image: Kimage) -> None:
    """Refuse segments that cannot be loaded: every rule of Linux, in its order. Raises KexecError."""
    _check_addresses(kernel, image)
    _check_overlap(kernel, image)
    _check_sizes(kernel, image)
    if image.type is _CRASH:
        _check_crash_range(kernel, image)
    image.find_borders(kernel.memory_limit_frames - 1)  # the last one is no control page to Linux either


def _check_addresses(kernel: KernelState, image: Kimage) -> None:
    limit = kernel.destination_memory_limit
    for number, (_, _, mem, memsz, _) in enumerate(image.segment):
        end = (mem + memsz) & _U64
        if mem > end:
            raise rules.SEGMENT_WRAPS.refuse(
                f"segment {number} from {mem:#x} with {memsz:#x} bytes passes the last address",
                segment=number,
                addresses=(mem, memsz),
            )
        if (mem | end) % PAGE_SIZE:
            raise rules.PAGE_ALIGNMENT.refuse(
                f"segment {number} from {mem:#x} to {end:#x} is not made of whole pages",
                segment=number,
                addresses=(mem, memsz),
            )
        if end >= limit:
            raise rules.DESTINATION_LIMIT.refuse(
                f"segment {number} ends at {end:#x}, the limit is {limit:#x}", segment=number, addresses=(mem, memsz)
            )
    kernel.passed(rules.SEGMENT_WRAPS, rules.PAGE_ALIGNMENT, rules.DESTINATION_LIMIT)


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
    """The first of 2**order frames that no destination will overwrite, or None. Their contents are undefined.

    Linux takes blocks until one is no destination and gives the others back; here they are passed over.
    """
    if image.type is _CRASH:
        return _kimage_alloc_crash_control_pages(kernel, image, order)
    first = None if caller.fatal_signal_pending() else kernel.pages.alloc_pages(order, image.borders)
    if first is not None:
        frames = range(first, first + (1 << order))
        image.control_pages.append(frames)
        image.taken.append(frames)
    return first


def kimage_alloc_table_pages(kernel: KernelState, image: Kimage, count: int, caller: Caller) -> list[range]:
    """`count` times kimage_alloc_control_pages of order 0; fewer frames where memory runs out."""
    if image.type is _CRASH:
        holes = [_kimage_alloc_crash_control_pages(kernel, image, 0) for _ in range(count)]
        return [range(first, first + 1) for first in holes if first is not None]
    found: list[range] = []
    while count and not caller.fatal_signal_pending():
        frames = kernel.pages.alloc_run_outside(count, image.borders)
        if not frames:
            break
        found.append(frames)
        count -= len(frames)
    image.control_pages += found
    image.taken += found
    return found


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


def _kimage_alloc_pages(kernel: KernelState, image: Kimage, dest: int, count: int, caller: Caller) -> range:
    """1 to `count` frames in a row for contents that go to frame `dest` and those behind it; none: no memory, no count.

    Each is its own destination, or no destination at all, as by Linux's kimage_alloc_page, which goes page by page.
    """
    wanted = count
    while count:
        if image.dest_pages is not None:
            kept, border = image.dest_pages.look(dest)
            count = min(count, border - dest)
            if kept:
                image.dest_pages.remove(dest, dest + count)
                return range(dest, dest + count)
        if image.spare_pages:
            frames = image.spare_pages.pop()
            if len(frames) > count:
                image.spare_pages.append(frames[count:])
            return frames[:count]
        if caller.fatal_signal_pending() or not (frames := kernel.pages.alloc_run(wanted, image.borders)):
            return _NOTHING
        is_destination, border = image.borders.look(frames.start)
        if not is_destination:
            if len(frames) > count:
                kernel.pages.put_back(frames[count:])
                frames = frames[:count]
            image.taken.append(frames)
            return frames
        image.taken.append(frames)
        wanted = max(wanted, border - frames.stop)  # destinations come in runs
        for number, each in enumerate(image.destinations()):
            if frames.start in each and frames.start < kernel.memory_limit_frames:
                _keep_destinations(kernel, image, number, frames)
    return _NOTHING


def _keep_destinations(kernel: KernelState, image: Kimage, number: int, frames: range) -> None:
    """`frames` are destinations of segment `number`: they will be, or become, the sources of their own pages.

    A page that is loaded already moves there, and the frame that it leaves is as good as a fresh one.
    """
    entries = image.entries
    at = image.first_entry(number) + frames.start - (image.segment[number].mem >> PAGE_SHIFT)
    while frames and at < len(entries):
        old, count = entries[at], 1
        while count < len(frames) and at + count < len(entries) and entries[at + count] == old + count * PAGE_SIZE:
            count += 1
        old >>= PAGE_SHIFT
        kernel.memory.copy(frames.start << PAGE_SHIFT, old << PAGE_SHIFT, count << PAGE_SHIFT)
        _change_entries(kernel, image, at, frames[:count])
        image.spare_pages.append(range(old, old + count))
        at, frames = at + count, frames[count:]
    if frames:
        if image.dest_pages is None:
            image.dest_pages = RangeSet()
        image.dest_pages.insert(frames.start, frames.stop)


def _entries(frames: range) -> range:
    """Page list entries that name `frames` as sources."""
    return range(frames.start << PAGE_SHIFT | _SOURCE, frames.stop << PAGE_SHIFT | _SOURCE, PAGE_SIZE)


def _change_entries(kernel: KernelState, image: Kimage, number: int, frames: range) -> None:
    """Make `frames` the sources that the page list names from entry `number` on."""
    end = number + len(frames)
    image.entries[number:end] = array("Q", _entries(frames))
    in_memory = min(end, ENTRIES_PER_PAGE * (len(image.indirection_pages) - 1))
    while number < in_memory:
        behind = min(in_memory, number + ENTRIES_PER_PAGE - number % ENTRIES_PER_PAGE)
        kernel.memory.write(image.entry_address(number), image.entries[number:behind].tobytes())
        number = behind


def _room(kernel: KernelState, image: Kimage, caller: Caller) -> int:
    """How many entries fit into the last indirection page, or else into a new one; 0 where memory has run out."""
    room = ENTRIES_PER_PAGE * len(image.indirection_pages) - len(image.entries)
    if room:
        return room
    frames = _kimage_alloc_pages(kernel, image, _NO_DEST, 1, caller)
    if not frames:
        return 0
    indirection = frames.start << PAGE_SHIFT | _INDIRECTION
    if image.indirection_pages:
        _close_indirection_page(kernel, image, indirection)
    else:
        image.head = indirection
    image.indirection_pages.append(frames.start)
    return ENTRIES_PER_PAGE


def _close_indirection_page(kernel: KernelState, image: Kimage, last: int) -> None:
    """Put the entries of the last indirection page into memory, with `last` behind them, and zeros."""
    begin = ENTRIES_PER_PAGE * (len(image.indirection_pages) - 1)
    words = image.entries[begin:].tobytes() + last.to_bytes(8, "little")
    kernel.memory.write(image.indirection_pages[-1] << PAGE_SHIFT, words.ljust(PAGE_SIZE, b"\0"))


def kimage_terminate(kernel: KernelState, image: Kimage) -> None:
    """Close the page list."""
    if image.indirection_pages:
        _close_indirection_page(kernel, image, _DONE)
    else:
        image.head = _DONE


def kimage_load_segment(kernel: KernelState, image: Kimage, number: int, caller: Caller) -> None:
    """Copy segment `number` from its source: to page lists, or straight to the crash reservation or contiguous memory.

    The rest of memsz is zero. Raises KexecError: ENOMEM, or EFAULT where the source cannot be read, whichever page
    comes first.
    """
    if image.type is _CRASH:
        _kimage_load_crash_segment(kernel, image, number)
    elif number in image.segment_cma:
        segment = image.segment[number]
        kernel.memory.copy_from(
            segment.mem, segment.buf, 0, segment.bufsz, segment.memsz - segment.bufsz, kernel.progress
        )
    else:
        _kimage_load_normal_segment(kernel, image, number, caller)


def _kimage_load_normal_segment(kernel: KernelState, image: Kimage, number: int, caller: Caller) -> None:
    """A run of pages at a time, within one page of the page list.

    So a source that faults is found before memory runs out behind it, as by Linux, which goes page by page.
    """
    segment = image.segment[number]
    first, nr_pages = segment.mem >> PAGE_SHIFT, segment.memsz >> PAGE_SHIFT
    readable = min(segment.buf.readable, segment.bufsz)
    room = _room(kernel, image, caller)
    if not room:
        raise _out_of_memory(number, 0, nr_pages)
    image.entries.append(segment.mem | _DESTINATION)
    room -= 1
    done = 0
    while done < nr_pages:
        room = room or _room(kernel, image, caller)
        frames = _kimage_alloc_pages(kernel, image, first + done, min(room, nr_pages - done), caller)
        if not frames:
            raise _out_of_memory(number, done, nr_pages)
        image.entries.extend(_entries(frames))
        count = len(frames)
        offset, size = done << PAGE_SHIFT, count << PAGE_SHIFT
        given = max(0, min(readable - offset, size))
        kernel.memory.copy_from(frames.start << PAGE_SHIFT, segment.buf, offset, given, size - given)
        kernel.progress(size)
        if readable < segment.bufsz and readable < offset + size:
            raise _fault(segment, number)
        room -= count
        done += count


def _kimage_load_crash_segment(kernel: KernelState, image: Kimage, number: int) -> None:
    segment = image.segment[number]
    kernel.crash.check_writable()
    given = min(segment.bufsz, segment.buf.readable)
    zeros = segment.memsz - given if given == segment.bufsz else 0
    kernel.memory.copy_from(segment.mem, segment.buf, 0, given, zeros, kernel.progress)
    if given < segment.bufsz:
        raise _fault(segment, number)


def kimage_free(kernel: KernelState, image: Kimage | None) -> None:
    """Give back every page of an image, however far its loading came."""
    if image is not None:
        kernel.pages.free_runs(image.taken)
        for frames in image.segment_cma.values():
            assert kernel.cma is not None
            kernel.cma.release(frames)


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
