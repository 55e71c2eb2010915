"""Numbers below a picture, laid out so that none overlaps another, however close the things are that they number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Label", "labels"]

_CHARACTER = 25.0  # thousandths of the picture's width, the least it has: of .8rem, on a screen of 400 pixels
_GAP = 15.0


@dataclass(frozen=True, slots=True)
class Label:
    """`text` from `x` on, `width` wide at most, in thousandths of the picture's width."""

    x: float
    width: float
    text: str


@dataclass(slots=True)
class _Group:
    """Numbers that share a label: the middle of what they number, and the least and the greatest."""

    left: float
    right: float
    first: int
    last: int
    members: list[int]

    @property
    def text(self) -> str:
        if self.first == self.last:
            return str(self.first)
        if len(self.members) == self.last - self.first + 1:
            return f"{self.first}\u2013{self.last}"
        return f"{self.first}\u2026{self.last}"

    @property
    def width(self) -> float:
        return _CHARACTER * len(self.text)

    def x(self, most: float) -> float:
        return min(max(0.0, (self.left + self.right - self.width) / 2), most - self.width)


def labels(centres: Sequence[tuple[float, int]], width: float) -> list[Label]:
    """A label for each number, its middle as close to its centre as there is room in `width`; neighbours that would
    overlap share one, such as 3\u20137."""
    groups: list[_Group] = []
    for centre, number in sorted(centres):
        group = _Group(centre, centre, number, number, [number])
        while groups and groups[-1].x(width) + groups[-1].width + _GAP > group.x(width):
            before = groups.pop()
            group = _Group(
                min(before.left, group.left),
                max(before.right, group.right),
                min(before.first, group.first),
                max(before.last, group.last),
                before.members + group.members,
            )
        groups.append(group)
    return [Label(round(each.x(width), 2), each.width, each.text) for each in groups]
