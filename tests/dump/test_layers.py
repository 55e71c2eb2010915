"""Pieces that overlap: at each address what is wanted most, as a look at each of them tells."""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from warmboot.dump import layers
from warmboot.dump.layers import Layers

pieces = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30), st.integers(0, 1000)), max_size=12)


def plain(rows: list[tuple[int, int, int]], address: int) -> int | None:
    return next((place + address - start for start, size, place in rows if start <= address < start + size), None)


@given(pieces, st.integers(0, 90), st.integers(0, 90), st.booleans())
def test_the_first_counts(rows: list[tuple[int, int, int]], start: int, stop: int, by_numpy: bool) -> None:
    before, layers._BY_NUMPY = layers._BY_NUMPY, 0 if by_numpy else 1 << 16
    try:
        made = [array("q", each) for each in zip(*((a, a + size, at) for a, size, at in rows), strict=True)]
        found = Layers(*made) if rows else Layers((), (), ())
    finally:
        layers._BY_NUMPY = before
    expected = [plain(rows, each) for each in range(100)]
    assert [each[0] if (each := found.find(address)) else None for address in range(100)] == expected
    for address in range(100):
        if each := found.find(address):
            assert expected[address : address + each[1]] == list(range(each[0], each[0] + each[1]))
    within: list[int | None] = [None] * 100
    for first, last, place in found.within(start, stop):
        within[first:last] = range(place, place + last - first)
    assert within == [each if start <= number < stop else None for number, each in enumerate(expected)]
    there = [False] * 100
    runs = list(found.runs())
    for first, last in runs:
        there[first:last] = [True] * (last - first)
    assert there == [each is not None for each in expected]
    assert all(before[1] < after[0] for before, after in pairwise(runs))
