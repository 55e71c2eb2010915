"""Sets of numbers as runs, beside Python's own sets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from warmboot.memmap import Range, merge
from warmboot.memmap.range_set import RangeSet

LIMIT = 40
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, LIMIT - 1), st.integers(1, LIMIT)), max_size=30)


def numbers_of(found: RangeSet) -> set[int]:
    return {number for run in found.runs() for number in run}


@given(STEPS)
def test_it_is_a_set(steps: list[tuple[bool, int, int]]) -> None:
    found, expected = RangeSet(), set[int]()
    for adds, start, size in steps:
        if adds:
            found.add(start, start + size)
            expected |= {*range(start, start + size)}
        else:
            found.remove(start, start + size)
            expected -= {*range(start, start + size)}
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
        for end in range(number, 2 * LIMIT, 7):
            asked = {*range(number, end)}
            assert found.overlaps(number, end) is bool(asked & expected)
            assert {each for run in found.within(number, end) for each in run} == asked & expected
            if asked:
                assert found.covers(number, end) is (asked <= expected)


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
