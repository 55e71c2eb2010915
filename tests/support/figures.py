"""What a benchmark measured, in the form that bench/all.py collects and bench/compare.py compares.

Each script prints its own words, and with `--json FILE` writes the same figures there: of each the values of all runs,
so that noise can be told from a change.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Figure", "Figures", "figures_option", "read_figures"]


@dataclass(frozen=True)
class Figure:
    """Values of one thing, one for each run. A `unit` of "" is a ratio of two things that took turns in one run.

    `amount` is the size of the input in units of `of`, where the same is measured at several; None where at one.
    `more` says that more is better. `wanted` is the goal, `limit` what no program can be better than, in the same unit.
    """

    name: str
    values: tuple[float, ...]
    unit: str = ""
    amount: float | None = None
    of: str = ""
    more: bool = False
    wanted: float | None = None
    limit: float | None = None

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return self.name if self.amount is None else f"{self.name}, {self.amount:,g} {self.of}"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """From the least to the greatest value."""
        return max(self.values) - min(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median is as good as what is wanted; None where nothing is."""
        if self.wanted is None:
            return None
        return self.median >= self.wanted if self.more else self.median <= self.wanted


@dataclass
class Figures:
    """All of one script."""

    found: list[Figure] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float] | float, unit: str = "", **more: Any) -> Figure:  # noqa: ANN401
        """Keep one figure; `more` are the other fields of Figure."""
        several = (float(values),) if isinstance(values, int | float) else tuple(map(float, values))
        if not several or not all(map(math.isfinite, several)):
            raise ValueError(f"{name}: nothing was measured")
        figure = Figure(name, several, unit, **more)
        if any(each.key == figure.key for each in self.found):
            raise ValueError(f"{figure.key} is measured twice")
        self.found.append(figure)
        return figure

    def write(self, path: Path | None) -> None:
        """To the file that --json named, if it did."""
        if path is not None:
            path.write_text(json.dumps([asdict(each) for each in self.found], indent=1) + "\n")


def figures_option(parser: argparse.ArgumentParser) -> None:
    """`--json FILE`."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too, for bench/all.py")


def read_figures(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    """The figures of such a document. Raises TypeError or KeyError for another."""
    return [Figure(**{**row, "values": tuple(row["values"])}) for row in rows]
