"""Control pages, page lists and source pages, read back from physical memory."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kernels import (
    CRASH,
    MIB,
    OLDEST_TO_NEWEST,
    alloc_frames,
    crash_request,
    held,
    image_bytes,
    new_kernel,
    pattern,
    request,
    segment,
    walk_page_list,
)
from warmboot.kernel import Ind, Kernel, KexecError, Kimage, Policy, Rule, Told, rules
from warmboot.uapi import PAGE_SIZE, LoadRequest, Segment

LOW = 16 * MIB
RESERVED = 112 * MIB
PER_PAGE = 511  # entries of an indirection page besides its link


def loaded(kernel: Kernel, arguments: LoadRequest) -> Kimage:
    """Load, and give the image."""
    kernel.kexec_load(arguments)
    image = kernel.kexec_image
    assert image is not None
    return image


def crash_loaded(kernel: Kernel, *segments: Segment) -> Kimage:
    """The same with a crash image that is entered at the reservation's start."""
    kernel.kexec_load(crash_request(*segments, entry=RESERVED))
    image = kernel.kexec_crash_image
    assert image is not None
    return image


def frames_of(*segments: Segment) -> set[int]:
    """Destinations."""
    return {frame for each in segments for frame in range(each.mem // PAGE_SIZE, each.end // PAGE_SIZE)}


def control_frames(image: Kimage) -> set[int]:
    """Control pages, one by one."""
    return set().union(*image.control_pages)


def expected(*segments: Segment) -> dict[int, bytes]:
    """What a new kernel must find, page by page."""
    found: dict[int, bytes] = {}
    for each in segments:
        data = b"".join(bytes(piece) for piece in each.buf.pieces(0, each.bufsz)).ljust(each.memsz, b"\0")
        found |= {each.mem + at: data[at : at + PAGE_SIZE] for at in range(0, each.memsz, PAGE_SIZE)}
    return found


# ---- control pages


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_control_pages_are_no_destinations(release: str, policy: Policy) -> None:
    # Two runs around the middle of memory, where a contiguous allocator begins, and odd single pages.
    where = [segment(31 * MIB, MIB), segment(34 * MIB, MIB), *[segment(n * MIB + PAGE_SIZE, PAGE_SIZE) for n in (1, 3)]]
    with new_kernel(release=release, policy=policy, seed=5) as kernel:
        image = loaded(kernel, request(*where))
        control = control_frames(image)
        assert image.swap_page in control
        assert image.pgd in control
        assert image.control_code_page in control
        assert not control & frames_of(*where)
        # What was taken on the way is free again.
        assert kernel.pages.allocated == held(kernel)
        order = 1 if release in ("5.10.0", "6.1.0", "6.11.0") else 0
        assert image.control_pages[0] == range(image.control_code_page, image.control_code_page + (1 << order))
        assert image.control_code_page % (1 << order) == 0
        assert (image.pgd == image.control_code_page) is (order == 1)


@pytest.mark.parametrize("policy", list(Policy))
def test_control_pages_when_only_a_few_frames_are_no_destination(policy: Policy) -> None:
    with new_kernel(release="7.2.0", policy=policy) as kernel:
        half = kernel.totalram_pages // 2 * PAGE_SIZE
        image = loaded(kernel, request(segment(32 * MIB, half - half % MIB)))
        assert not control_frames(image) & frames_of(*image.segment)
        assert kernel.pages.allocated == held(kernel)


def test_crash_control_pages_are_the_first_holes() -> None:
    three = segment(RESERVED, 3 * PAGE_SIZE, b"1")
    first = RESERVED // PAGE_SIZE
    with new_kernel(128 * MIB, release="6.11.0", crashkernel=CRASH) as kernel:
        image = crash_loaded(kernel, three)
        # Two pages aligned to two; the page that this leaves out is never come back to.
        assert (image.control_code_page, image.pgd) == (first + 4, first + 4)
        assert image.vmcoreinfo_page == first + 8  # behind two page tables
        assert image.swap_page is None
        assert image.control_pages == []
        assert kernel.pages.allocated == held(kernel) == sum(map(len, image.transition_pages))
    with new_kernel(128 * MIB, release="7.2.0", crashkernel=CRASH) as kernel:
        image = crash_loaded(kernel, three, segment(RESERVED + 5 * PAGE_SIZE, PAGE_SIZE))
        assert (image.control_code_page, image.pgd) == (first + 3, first + 4)
        assert image.vmcoreinfo_page == first + 8


def test_a_segment_of_no_bytes_splits_a_crash_hole() -> None:
    empty = segment(RESERVED + PAGE_SIZE, 0)
    first = RESERVED // PAGE_SIZE
    for release, code in (("6.11.0", first + 2), ("7.2.0", first)):
        with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
            assert crash_loaded(kernel, empty).control_code_page == code


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_a_segment_of_no_bytes_at_0_is_everywhere_since_6_8(release: str) -> None:
    with new_kernel(release=release) as kernel:
        kernel.pages.fail_after(3000)  # it is memory itself that would run out
        everywhere = release not in ("5.10.0", "6.1.0")
        if everywhere:
            with pytest.raises(KexecError) as raised:
                kernel.kexec_load(request(segment(0, 0)))
            assert raised.value.rule == rules.CONTROL_PAGES
            assert kernel.pages.allocated == 0
        else:
            image = loaded(kernel, request(segment(0, 0)))
            assert walk_page_list(kernel.memory, image.head).pages == []


# ---- the page list


@pytest.mark.parametrize("pages", [0, 1, 509, 510, 511, 512, 1020, 1021, 1022, 2043, 2044])
@pytest.mark.parametrize("policy", list(Policy))
def test_a_page_list_of_one_segment(pages: int, policy: Policy) -> None:
    only = segment(LOW, pages * PAGE_SIZE, pattern(max(0, pages * PAGE_SIZE - 100)))
    with new_kernel(policy=policy) as kernel:
        image = loaded(kernel, request(only))
        found = walk_page_list(kernel.memory, image.head)
        assert [destination for destination, _ in found.pages] == list(range(LOW, only.end, PAGE_SIZE))
        full, rest = divmod(pages + 1, PER_PAGE)
        assert found.entries == [PER_PAGE] * full + [rest] * bool(rest)
        assert image_bytes(kernel.memory, image) == expected(only)
        # The end is in the last word of a page that is exactly full.
        last_word = found.indirections[-1] + 8 * found.entries[-1]
        assert int.from_bytes(kernel.memory.read(last_word, 8), "little") == Ind.DONE


def test_an_image_without_a_list() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        assert crash_loaded(kernel, segment(RESERVED, PAGE_SIZE)).head == Ind.DONE


segments_strategy = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40 * PAGE_SIZE)), min_size=1, max_size=16
)


def some_segments(drawn: list[tuple[int, int, int]], start: int) -> list[Segment]:
    """Segments (gap in pages, pages, bytes of data) behind one another."""
    found, at = [], start
    for number, (gap, pages, size) in enumerate(drawn):
        at += gap * PAGE_SIZE
        data = pattern(min(size, pages * PAGE_SIZE), number)
        found.append(segment(at, pages * PAGE_SIZE, data))
        at = found[-1].end
    return found


@given(
    drawn=segments_strategy,
    policy=st.sampled_from(list(Policy)),
    seed=st.integers(0, 1000),
    release=st.sampled_from(OLDEST_TO_NEWEST),
    reverse=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_sources_and_what_a_copy_in_order_makes_of_them(
    drawn: list[tuple[int, int, int]], policy: Policy, seed: int, release: str, reverse: bool
) -> None:
    segments = some_segments(drawn, 31 * MIB)  # across the middle of memory, where a contiguous allocator begins
    if reverse:
        segments.reverse()
    with new_kernel(policy=policy, seed=seed, release=release) as kernel:
        image = loaded(kernel, request(*segments))
        found = walk_page_list(kernel.memory, image.head)
        destinations = frames_of(*segments)
        sources = [source // PAGE_SIZE for _, source in found.pages]
        assert len(set(sources)) == len(sources)
        for (destination, _), source in zip(found.pages, sources, strict=True):
            assert source == destination // PAGE_SIZE or source not in destinations
        own = {*control_frames(image), *[each // PAGE_SIZE for each in found.indirections]}
        assert not own & destinations
        assert not own & set(sources)
        assert kernel.pages.allocated == held(kernel)
        # As relocation code does it: in order, one page at a time, nothing in between.
        for destination, source in found.pages:
            kernel.memory.write(destination, kernel.memory.read(source, PAGE_SIZE))
        for destination, contents in expected(*segments).items():
            assert kernel.memory.read(destination, PAGE_SIZE) == contents


@given(
    drawn=segments_strategy,
    policy=st.sampled_from(list(Policy)),
    seed=st.integers(0, 1000),
    release=st.sampled_from(OLDEST_TO_NEWEST),
    pages=st.integers(0, 700),
)
@settings(max_examples=200, deadline=None)
def test_memory_that_runs_out_anywhere_leaves_no_trace(
    drawn: list[tuple[int, int, int]], policy: Policy, seed: int, release: str, pages: int
) -> None:
    segments = some_segments(drawn, 31 * MIB)
    with new_kernel(policy=policy, seed=seed, release=release) as kernel:
        kernel.pages.fail_after(pages)
        with suppress(KexecError):
            kernel.kexec_load(request(*segments))
        assert kernel.pages.allocated == held(kernel)
        kernel.unload()
        assert kernel.pages.allocated == 0


def test_destinations_of_others_are_all_that_memory_has() -> None:
    """Frames that come too early are kept until their turn, and given back where it never comes."""
    one, other = segment(30 * MIB, 40 * PAGE_SIZE, b"1"), segment(34 * MIB, 40 * PAGE_SIZE, b"2")

    with new_kernel(policy=Policy.ADVERSARIAL) as kernel:

        def aim(pages: int, rule: Rule) -> None:
            if rule == rules.PAGE_TABLES:  # control pages are done with
                kernel.pages.aim_at([range(each.mem // PAGE_SIZE, each.end // PAGE_SIZE) for each in (one, other)])
                kernel.pages.fail_after(pages)

        for pages in range(200):
            kernel.pages.fail_after(None)
            with suppress(KexecError):
                kernel.kexec_load(request(one, other), observer=Told(passed=partial(aim, pages)))
            assert kernel.pages.allocated == held(kernel)
            if kernel.kexec_image is not None:
                break
        assert kernel.kexec_image is not None
        assert image_bytes(kernel.memory, kernel.kexec_image) == expected(one, other)
        own = [
            source == destination
            for destination, source in walk_page_list(kernel.memory, kernel.kexec_image.head).pages
        ]
        assert sum(own) > 70


def test_many_batches_under_an_adversary() -> None:
    """More pages than are settled at once, of which the last come first."""
    where = [segment(100 * MIB, 40 * MIB, pattern(40 * MIB)), segment(16 * MIB, 80 * MIB, pattern(80 * MIB - 5, 1))]
    with new_kernel(256 * MIB, policy=Policy.ADVERSARIAL) as kernel:
        image = loaded(kernel, request(*where))
        assert image_bytes(kernel.memory, image) == expected(*where)
        destinations = frames_of(*where)
        for destination, source in walk_page_list(kernel.memory, image.head).pages:
            assert source == destination or source // PAGE_SIZE not in destinations
        assert kernel.pages.allocated == held(kernel)


def test_frames_beyond_the_limit_are_kept_aside() -> None:
    with new_kernel() as kernel:
        kernel.memory_limit_frames = 33 * MIB // PAGE_SIZE  # just behind where the allocator begins
        one = segment(LOW, 2 * MIB, pattern(2 * MIB))
        image = loaded(kernel, request(one))
        assert sum(frame > kernel.memory_limit_frames for frames in image.taken for frame in frames) > 100
        assert all(source <= 33 * MIB for _, source in walk_page_list(kernel.memory, image.head).pages)
        assert image_bytes(kernel.memory, image) == expected(one)
        assert kernel.pages.allocated == held(kernel)
        kernel.unload()
        assert kernel.pages.allocated == 0


# ---- crash segments


def test_crash_segments_go_straight_to_their_place() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.memory.write(RESERVED, b"\xaa" * CRASH)
        one = segment(RESERVED + 3 * PAGE_SIZE, 5 * PAGE_SIZE, pattern(PAGE_SIZE + 77))
        crash_loaded(kernel, one, segment(RESERVED + MIB, 2 * MIB, pattern(2 * MIB)))
        assert kernel.memory.read(one.mem, one.memsz) == pattern(PAGE_SIZE + 77).ljust(one.memsz, b"\0")
        assert kernel.memory.read(RESERVED + MIB, 2 * MIB) == pattern(2 * MIB)
        assert kernel.memory.read(RESERVED + 3 * MIB, 13 * MIB) == b"\xaa" * (13 * MIB)  # nobody's


# ---- freeing


@pytest.mark.parametrize("policy", list(Policy))
def test_freed_pages_come_again(policy: Policy) -> None:
    with new_kernel(policy=policy) as kernel:
        total = kernel.pages.nr_pages
        for _ in range(3):
            loaded(kernel, request(segment(LOW, 4 * MIB, b"x"), segment(40 * MIB, MIB)))
            kernel.unload()
            assert kernel.pages.allocated == 0
        assert len(set(alloc_frames(kernel.pages, total))) == total
