"""The page allocator: under every policy each frame is handed out once, and all of them in the end."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.kernels import MIB, alloc_frames, free_frames
from warmboot.kernel import PageAllocator, Policy
from warmboot.memmap import Range
from warmboot.memmap.range_set import RangeSet
from warmboot.uapi import PAGE_SIZE

policies = st.sampled_from(list(Policy))
seeds = st.integers(0, 2**31)
gaps_and_sizes = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=4)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("frames"), st.integers(0, 200)),
        st.tuples(st.just("run"), st.integers(0, 1000)),
        st.tuples(st.just("outside"), st.integers(0, 1000)),
        st.tuples(st.just("block"), st.integers(0, 3)),
        st.tuples(st.just("hole"), st.integers(0, 1000)),
        st.tuples(st.just("free"), st.integers(0, 1000)),
        st.tuples(st.just("aim"), st.integers(0, 1000)),
    ),
    max_size=40,
)


def ram_of(layout: list[tuple[int, int]]) -> list[Range]:
    """Ranges of (gap, size) pages behind one another; they begin and end in the middle of pages that do not count."""
    ranges, at = [], 0
    for gap, size in layout:
        at += gap
        ranges.append(Range(at * PAGE_SIZE - 100, (at + size) * PAGE_SIZE + 100))
        at += size
    return ranges


def frames_in(ram: list[Range]) -> set[int]:
    """Every whole frame."""
    return {frame for each in ram for frame in range(-(-each.start // PAGE_SIZE), each.end // PAGE_SIZE)}


@dataclass
class Checked:
    """An allocator and what it must have in use."""

    pages: PageAllocator
    all_frames: set[int]
    used: set[int] = field(default_factory=set)
    pieces: list[tuple[list[int], int | None]] = field(default_factory=list)  # frames, and a block's order

    def take(self, frames: list[int], order: int | None = None) -> None:
        """These were handed out."""
        assert not self.used & set(frames)
        assert len(set(frames)) == len(frames)
        assert set(frames) <= self.all_frames
        self.used |= set(frames)
        if frames:
            self.pieces.append((frames, order))

    def step(self, operation: str, number: int) -> None:
        """One call."""
        if operation == "frames":
            frames = alloc_frames(self.pages, number)
            assert len(frames) == min(number, len(self.all_frames) - len(self.used))
            self.take(frames)
        elif operation == "run":
            borders = [(number, number + 50), (number + 70, number + 71)]
            run = self.pages.alloc_run(1 + number % 40, RangeSet(borders))
            assert bool(run) is (self.used != self.all_frames)
            assert not any(each in run[1:] for each in chain(*borders))
            self.take(list(run))
        elif operation == "outside":
            borders = [(number, number + 50), (number + 70, number + 71)]
            run = self.pages.alloc_run_outside(1 + number % 40, RangeSet(borders))
            avoided = {*range(number, number + 50), number + 70}
            assert bool(run) is bool(self.all_frames - self.used - avoided)
            assert not avoided & {*run}
            self.take(list(run))
        elif operation in ("block", "hole"):
            holes = [] if operation == "block" else [(3, 3), (4 + number, 54 + number)]
            first = self.pages.alloc_pages(number % 4, RangeSet(holes))
            free = self.all_frames - self.used - {frame for each in holes for frame in range(*each)}
            count = 1 << number % 4
            possible = any(
                each % count == 0
                and {*range(each, each + count)} <= free
                and not any(each < begin < each + count for begin, _ in holes)
                for each in free
            )
            assert (first is not None) is possible
            if first is not None:
                assert first % count == 0
                self.take(list(range(first, first + count)), number % 4)
        elif operation == "aim":
            self.pages.aim_at([range(number, number + 50)], [range(number + 20, number + 50)])
        elif self.pieces:
            frames, order = self.pieces.pop(number % len(self.pieces))
            self.used -= set(frames)
            if order is None:
                free_frames(self.pages, frames)
            else:
                self.pages.free_pages(frames[0], order)
        assert self.pages.allocated == len(self.used)
        assert self.pages.free == len(self.all_frames) - len(self.used)


@given(layout=gaps_and_sizes, policy=policies, seed=seeds, steps=operations)
@settings(deadline=None, max_examples=200)
def test_no_frame_is_handed_out_twice(
    layout: list[tuple[int, int]], policy: Policy, seed: int, steps: list[tuple[str, int]]
) -> None:
    ram = ram_of(layout)
    checked = Checked(PageAllocator(ram, policy=policy, seed=seed), frames_in(ram))
    for operation, number in steps:
        checked.step(operation, number)
    checked.step("frames", 10_000)  # all that is left, whatever came before
    assert checked.used == checked.all_frames
    assert checked.pages.alloc_pages(0) is None
    while checked.pieces:
        checked.step("free", 0)
    assert checked.pages.allocated == 0
    checked.step("frames", 10_000)
    assert checked.used == checked.all_frames


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("order", [1, 2, 5])
def test_blocks_come_until_there_are_none(policy: Policy, order: int) -> None:
    pages = PageAllocator([Range(MIB, 9 * MIB)], policy=policy)
    pages.aim_at([range(MIB // PAGE_SIZE + 3, 2 * MIB // PAGE_SIZE)])
    for _ in range(2):
        blocks = []
        while (first := pages.alloc_pages(order)) is not None:
            blocks.append(first)
        assert sorted(blocks) == list(range(MIB // PAGE_SIZE, 9 * MIB // PAGE_SIZE, 1 << order))
        for first in blocks:
            free_frames(pages, range(first, first + (1 << order)))  # not as a block


def test_policies_differ_in_what_comes_first() -> None:
    ram = [Range(MIB, 65 * MIB)]
    contiguous = alloc_frames(PageAllocator(ram), 100)
    assert contiguous == list(range(contiguous[0], contiguous[0] + 100))
    scattered = alloc_frames(PageAllocator(ram, policy=Policy.SCATTERED, seed=1), 100)
    assert all(abs(one - other) > 100 for one, other in pairwise(scattered))
    assert scattered != alloc_frames(PageAllocator(ram, policy=Policy.SCATTERED, seed=2), 100)
    for policy in Policy:
        pages = PageAllocator(ram, policy=policy)
        aims = [range(300, 350), range(1), range(900, 950)]  # frame 0 is no RAM
        pages.aim_at(aims, aims)
        first = set(alloc_frames(pages, 100))
        assert (first == {*range(300, 350), *range(900, 950)}) is (policy is Policy.ADVERSARIAL)


@given(policy=policies, limit=st.integers(0, 50), order=st.integers(0, 3))
def test_the_arranged_limit(policy: Policy, limit: int, order: int) -> None:
    pages = PageAllocator([Range(0, 4 * MIB)], policy=policy)
    pages.fail_after(limit)
    assert pages.left == limit
    taken = 0
    while pages.alloc_pages(order) is not None:
        taken += 1 << order
    assert taken == limit >> order << order
    assert pages.left == limit - taken
    assert len(alloc_frames(pages, 100)) == limit - taken
    pages.fail_after(None)
    assert pages.left == pages.free == 1024 - limit


def test_frames_put_back_were_never_handed_out() -> None:
    pages = PageAllocator([Range(0, 4 * MIB)])
    pages.fail_after(10)
    run = pages.alloc_run(8)
    pages.put_back(run[3:])
    assert (pages.left, pages.allocated) == (7, 3)
    pages.free_runs([run[:3]])
    assert (pages.left, pages.allocated) == (7, 0)  # what is freed is not handed out again under a limit
    pages.fail_after(None)
    assert len(alloc_frames(pages, 2000)) == 1024


@pytest.mark.parametrize("policy", list(Policy))
def test_ram_that_is_added(policy: Policy) -> None:
    later = Range(4 * MIB, 5 * MIB)
    pages = PageAllocator([Range(MIB, 2 * MIB)], policy=policy)
    assert len(alloc_frames(pages, 1000)) == 256
    pages.add(later)
    assert pages.free == 256
    assert sorted(alloc_frames(pages, 1000)) == list(range(1024, 1280))


def test_a_frame_that_is_not_in_use_cannot_be_freed() -> None:
    pages = PageAllocator([Range(0, MIB)])
    frame = pages.alloc_pages(0)
    assert frame is not None
    pages.free_pages(frame)
    with pytest.raises(ValueError, match="not in use"):
        pages.free_pages(frame)


@pytest.mark.parametrize("policy", list(Policy))
def test_a_terabyte(policy: Policy) -> None:
    pages = PageAllocator([Range(MIB, 1 << 40)], policy=policy)
    frames = alloc_frames(pages, 100_000)
    assert len(set(frames)) == 100_000
    assert max(frames) < 1 << 28
    assert pages.alloc_pages(1) is not None


@pytest.mark.parametrize("ram", [[Range(MIB, 8 * MIB)], [Range(MIB, 3 * MIB), Range(4 * MIB, 8 * MIB)]])
def test_frames_below_a_limit_come_first(ram: list[Range]) -> None:
    """All of them, in runs and one by one, before any other; then the others too."""
    pages = PageAllocator(ram, below=5 * MIB)
    lower = {frame for frame in frames_in(ram) if frame < 5 * MIB // PAGE_SIZE}
    taken: set[int] = set()
    while len(taken) < len(lower):
        run = pages.alloc_run(100)
        assert set(run) <= lower - taken
        taken |= set(run)
    assert set(alloc_frames(pages, pages.left)) == frames_in(ram) - lower


def test_a_limit_below_all_ram_changes_nothing() -> None:
    ram = [Range(MIB, 8 * MIB)]
    assert alloc_frames(PageAllocator(ram, below=MIB), 100) == alloc_frames(PageAllocator(ram), 100)


@pytest.mark.parametrize("policy", list(Policy))
def test_what_is_kept_of_free_frames_does_not_grow_with_memory(policy: Policy) -> None:
    """12 TiB from 4 GiB on, and RAM at 64 TiB and near the end of physical addresses."""
    ram = [Range(MIB, 2 << 30), Range(4 << 30, 12 << 40), Range(64 << 40, 65 << 40), Range((1 << 52) - MIB, 1 << 52)]
    tracemalloc.start()
    try:
        pages = PageAllocator(ram, policy=policy, below=1 << 40)
        frames = alloc_frames(pages, 2000)
        blocks = [pages.alloc_pages(1) for _ in range(100)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(frames)) == 2000
    assert None not in blocks
    assert peak < MIB
    if policy is not Policy.SCATTERED:
        assert max(frames) < 1 << 28
