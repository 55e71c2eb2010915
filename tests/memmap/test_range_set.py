"""Sets of numbers as runs, beside Python's own sets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.memmap import Range, merge
from warmboot.memmap.range_set import RangeSet

LIMIT = 40
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "insert", "remove", "remove"]), st.integers(0, LIMIT - 1), st.integers(1, LIMIT)),
    max_size=30,
)


def numbers_of(found: RangeSet) -> set[int]:
    return {number for run in found.runs() for number in run}


@given(STEPS)
def test_it_is_a_set(steps: list[tuple[str, int, int]]) -> None:
    found, expected = RangeSet(), set[int]()
    for what, start, size in steps:
        asked = {*range(start, start + size)}
        if what == "add":
            found.add(start, start + size)
            expected |= asked
        elif what == "insert" and not asked & expected:
            found.insert(start, start + size)
            expected |= asked
        elif what == "remove" and asked <= expected:
            found.remove(start, start + size)
            expected -= asked
        else:
            with pytest.raises(ValueError, match="the set"):
                (found.insert if what == "insert" else found.remove)(start, start + size)
        assert numbers_of(found) == expected
        assert bool(found) is bool(expected)
        assert all(one.stop < two.start for one, two in pairwise(found.runs()))
    for number in range(2 * LIMIT + 1):
        inside, border = found.look(number)
        assert inside is (number in found) is (number in expected)
        assert not any((each in expected) is not inside for each in range(number, min(border, 3 * LIMIT)))
        at_or_after = [each for each in sorted(expected) if each >= number]
        start, stop = found.find(number) or (-1, -1)
        assert start == (at_or_after[0] if at_or_after else -1)
        assert stop not in expected
        check_take(expected, number)
        for end in range(number, 2 * LIMIT, 7):
            asked = {*range(number, end)}
            assert found.overlaps(number, end) is bool(asked & expected)
            assert {each for run in found.within(number, end) for each in run} == asked & expected
            if asked:
                assert found.covers(number, end) is (asked <= expected)


def check_take(expected: set[int], begin: int) -> None:
    """What is taken is the first there is, no more than asked for, and crosses no wall."""
    for end, most in ((begin + 9, 3), (begin + 2, 9), (3 * LIMIT, 1)):
        found = RangeSet()
        for number in expected:
            found.add(number, number + 1)
        walls = [10, 12, 30, 33]
        taken = found.take(begin, end, most, RangeSet([(10, 12), (30, 33)]))
        there = [each for each in sorted(expected) if begin <= each < end]
        assert bool(taken) is bool(there)
        if taken:
            assert taken.start == there[0]
            assert {*taken} <= {*there}
            assert len(taken) <= most
            assert most == 1 or not any(taken.start < wall < taken.stop for wall in walls)
            stops = (len(taken) == most, taken.stop in walls, taken.stop == end, taken.stop not in expected)
            assert any(stops)
        assert numbers_of(found) == expected - {*taken}


def test_runs_that_touch_and_empty_ones_keep_their_borders() -> None:
    found = RangeSet([(2, 4), (4, 6), (9, 9)])
    assert found.look(3) == (True, 4)
    assert found.look(4) == (True, 6)
    assert found.look(6) == (False, 9)
    assert found.look(9)[0] is False


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)), max_size=10))
def test_it_is_made_of_merged_ranges(parts: list[tuple[int, int]]) -> None:
    ranges = merge(Range(start, start + size) for start, size in parts)
    assert [(each.start, each.stop) for each in RangeSet((each.start, each.end) for each in ranges).runs()] == [
        (each.start, each.end) for each in ranges
    ]
