"""Ranges of RAM as they are drawn: those that are close are one."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.memmap import Range, merge

__all__ = ["strips_of"]

_JOIN = 2 << 20  # bytes: ranges that are this close form one strip


def strips_of(ram: Sequence[Range]) -> list[Range]:
    """The strips, lowest first."""
    strips: list[Range] = []
    for each in merge(ram):
        if strips and each.start - strips[-1].end <= _JOIN:
            strips[-1] = Range(strips[-1].start, each.end)
        else:
            strips.append(each)
    return strips
