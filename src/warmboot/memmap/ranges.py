"""Ranges of physical addresses and what is left of them."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from warmboot.records import dataclass

__all__ = ["Range", "intersect", "merge", "subtract", "whole"]

_BOUNDS = attrgetter("start", "end")  # in order, without comparing as objects


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Physical bytes from `start` up to, not including, `end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a range from {self.start:#x} cannot end at {self.end:#x}")

    def __str__(self) -> str:
        return f"{self.start:#x}-{self.end - 1:#x}" if self.end > self.start else f"{self.start:#x} (empty)"

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def overlaps(self, other: Range) -> bool:
        """Whether the two share a byte."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: Range) -> bool:
        """Whether every byte of `other` is in this range."""
        return self.start <= other.start and other.end <= self.end


def merge(ranges: Iterable[Range]) -> list[Range]:
    """The same bytes as few sorted ranges that neither touch nor overlap."""
    merged: list[Range] = []
    last = -1  # where the last one ends
    for each in sorted(ranges, key=_BOUNDS):
        start, end = each.start, each.end
        if start == end:
            continue
        if start > last:
            merged.append(each)
            last = end
        elif end > last:
            merged[-1] = Range(merged[-1].start, end)
            last = end
    return merged


def subtract(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What of `ranges` is in none of `taken`, sorted."""
    left: list[Range] = []
    holes = merge(taken)
    at = 0  # the first hole that does not end before what is looked at
    for each in merge(ranges):
        start = each.start
        while at < len(holes) and holes[at].end <= start:
            at += 1
        number = at
        while number < len(holes) and holes[number].start < each.end:
            if start < holes[number].start:
                left.append(Range(start, holes[number].start))
            start = holes[number].end
            number += 1
        if start < each.end:
            left.append(Range(start, each.end))
    return left


def intersect(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """The bytes that are in one of `ranges` and in one of `others`, sorted."""
    left, right = merge(ranges), merge(others)
    found, number = [], 0
    for each in left:
        while number < len(right) and right[number].end <= each.start:
            number += 1
        at = number
        while at < len(right) and right[at].start < each.end:
            found.append(Range(max(each.start, right[at].start), min(each.end, right[at].end)))
            at += 1
    return found


def whole(ranges: Iterable[Range], align: int) -> list[Range]:
    """The ranges cut to multiples of `align` bytes; what is smaller is dropped."""
    cut = (
        Range(-(-each.start // align) * align, max(each.end // align, -(-each.start // align)) * align)
        for each in ranges
    )
    return [each for each in cut if each.size]
