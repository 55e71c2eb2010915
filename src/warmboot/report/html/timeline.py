"""The stages in the order of time, as the numbers of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.stages import Stage

__all__ = ["Bar", "timeline"]

_WIDTH = 1000.0  # units of the SVG
_LEAST = 3.0  # units: the least that a stage is wide


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage: from `x` on, `width` units; `words` say the same."""

    name: str
    outcome: str
    x: float
    width: float
    words: str


def timeline(stages: Sequence[Stage]) -> list[Bar]:
    """A bar for each stage, one after another; a stage of no length is seen too."""
    total = sum(each.seconds for each in stages) or 1.0
    bars, began = [], 0.0
    for each in stages:
        width = max(_LEAST, _WIDTH * each.seconds / total)
        x = min(_WIDTH * began / total, _WIDTH - width)
        bars.append(Bar(each.name, each.outcome.value, round(x, 2), round(width, 2), f"{each.seconds:.2f} s"))
        began += each.seconds
    return bars
