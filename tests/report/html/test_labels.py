"""Layout of pictures: labels never overlap, every number is told, and columns add up to what a dump has."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from warmboot.memmap.range_set import RangeSet
from warmboot.report.html.filled import filled
from warmboot.report.html.labels import labels


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=40))
def test_labels_are_apart_and_tell_every_number(centres: list[float]) -> None:
    numbered = [(centre, number) for number, centre in enumerate(sorted(centres), 1)]
    found = labels(numbered, 1000.0)
    assert found[0].x >= 0
    assert found[-1].x + found[-1].width <= 1000.01
    for before, after in pairwise(found):
        assert before.x + before.width < after.x
    told: list[int] = []
    for each in found:
        first, _, last = each.text.partition("\u2013")
        told += range(int(first), int(last or first) + 1)
    assert told == [number for _, number in numbered]
    assert all(each.width >= 25 * len(each.text) for each in found)


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 99)), min_size=1, max_size=40))
def test_labels_of_numbers_in_any_order_are_apart(centres: list[tuple[float, int]]) -> None:
    found = labels(centres, 1000.0)
    for before, after in pairwise(found):
        assert before.x + before.width < after.x


@given(st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(1, 1 << 10), st.booleans()), max_size=60))
def test_columns_are_what_the_dump_has(pieces: list[tuple[int, int, bool]]) -> None:
    there, left_out = RangeSet(), RangeSet()
    taken = RangeSet()
    for start, size, is_there in pieces:
        if not taken.overlaps(start << 12, start + size << 12):
            taken.add(start << 12, start + size << 12)
            (there if is_there else left_out).add(start << 12, start + size << 12)
    strips, hidden = filled(there.runs(), left_out.runs())
    assert hidden == 0
    assert len(strips) <= len(list(taken.runs()))
    widest = max((each.width for each in strips), default=1000.0)
    assert widest <= 1000.01
    for strip in strips:
        start, last = (int(each, 16) for each in re.fullmatch(r"(\w+)-(\w+)", strip.where).groups())  # type: ignore[union-attr]
        has = sum(map(len, there.within(start, last + 1)))
        assert strip.share == f"{100 * has / (last + 1 - start):.1f} %"
        for each in strip.columns:
            assert 0 < each.height <= 44
            assert each.x >= 0
            assert each.x + each.width <= strip.width + 0.1
        assert bool(strip.columns) == bool(has)
        if has == last + 1 - start:
            assert [each.height for each in strip.columns] == [44.0]


def test_a_dump_of_two_hundred_thousand_runs_is_a_small_picture() -> None:
    strips, _ = filled((range(n << 13, (n << 13) + 4096) for n in range(200_000)), ())
    assert len(strips) == 1
    assert len(strips[0].columns) <= 200
