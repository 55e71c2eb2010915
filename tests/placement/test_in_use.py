"""A large initrd goes where pages are in use: by each window's count, and in the request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.debian import kernel
from warmboot.images import identify
from warmboot.memmap import Facts
from warmboot.memmap.ranges import Range
from warmboot.placement import PlaceOptions, place
from warmboot.placement.in_use import BLOCK, LEAST, fullest, is_full
from warmboot.placement.reason import reason_text

MIB, GIB = 1 << 20, 1 << 30
PAGES = BLOCK >> 12


def told(counts: Sequence[int]) -> Callable[[int, int], Sequence[int]]:
    """Free pages by block; beyond them all are free."""
    return lambda first, count: [counts[each] if each < len(counts) else PAGES for each in range(first, first + count)]


@given(
    st.lists(st.integers(0, PAGES), min_size=1, max_size=40),
    st.lists(st.integers(0, 40 * BLOCK), min_size=2, max_size=6, unique=True),
    st.integers(1, 6 * BLOCK),
)
def test_the_place_with_the_fewest_free_pages(counts: list[int], edges: list[int], size: int) -> None:
    edges.sort()
    free = [Range(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    blocks = -(-size // BLOCK)
    known = told(counts)
    every = [
        (sum(known(first, blocks)), -first)
        for first in range(41)
        if any(each.start <= first * BLOCK and (first + blocks) * BLOCK <= each.end for each in free)
    ]
    found = fullest(free, size, known)
    if not every or min(every)[0] > blocks * PAGES // 2:
        assert found is None
        return
    assert found == Range(-min(every)[1] * BLOCK, -min(every)[1] * BLOCK + size)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (range(0), None),  # nothing is known to be in use: where it would have gone
        (range(13 * GIB // 2 // BLOCK, 7 * GIB // BLOCK), 13 * GIB // 2),
        (range(400, 400 + LEAST // BLOCK), 400 * BLOCK),
        (range(2047), None),  # its own place is in use
    ],
)
def test_a_large_initrd_goes_where_no_page_can_be_taken(used: range, expected: int | None) -> None:
    image, machine = identify(kernel("6.12")), Facts.of_pc(6 * GIB)
    initrd = memoryview(bytes(LEAST))

    def placed(free_pages: Callable[[int, int], Sequence[int]] | None, size: int = LEAST) -> Range:
        options = PlaceOptions(initrds=[initrd[:size]], hashed=False, rng_seed=b"", free_pages=free_pages)
        done = place(image, machine, options)
        [found] = [each for each in done.request.segments if each.name == "initrd"]
        text = reason_text(done.reasons[found.mem], {})
        assert ("in use now" in text) == (free_pages is not None and size == LEAST and expected is not None)
        return Range(found.mem, found.end)

    def free_pages(first: int, count: int) -> Sequence[int]:
        return [0 if each in used else PAGES for each in range(first, first + count)]

    usual = placed(None)
    assert is_full(usual, free_pages) == (used == range(2047))
    found = placed(free_pages)
    assert found.size == usual.size
    if expected is None:
        assert found == usual
    else:
        assert all(each in used for each in range(found.start // BLOCK, found.end // BLOCK))
        assert found.start >= expected
    assert placed(free_pages, LEAST - 4096) == placed(None, LEAST - 4096)
