"""What was lost, and won, between two runs of bench/all.py.

    python bench/compare.py BEFORE AFTER

A difference counts only beyond the noise: the medians must lie further apart than the wider of the two spreads (from
the least to the greatest value of the runs), and by more than a fiftieth; where one of them was measured only once, by
more than a fifth. Times are compared between runs on the same processor and Python alone: from one computer to another
only ratios and counts say anything. The status is 1 where something was lost.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from support.figures import Figure, read_figures

_LEAST, _LEAST_OF_ONE = 0.02, 0.2  # of the value before
_EXACT = frozenset({"instructions", "calls"})  # units that a busy computer does not change
_ANYWHERE = _EXACT | {"", "MiB"}  # and those that say something of another computer
_SAME = ("processor", "processors", "python")


@dataclass(frozen=True)
class Change:
    """A figure before and after."""

    before: Figure
    after: Figure

    @property
    def worse(self) -> float:
        """By how much of its value before it became worse; negative: better."""
        difference = self.after.median - self.before.median
        if self.after.more:
            difference = -difference
        if not self.before.median:
            return float("inf") if difference > 0 else 0.0
        return difference / abs(self.before.median)

    @property
    def noise(self) -> float:
        """What a change must exceed to count, of the value before."""
        if self.after.unit in _EXACT:
            return _LEAST
        value = abs(self.before.median) or 1.0
        once = min(len(self.before.values), len(self.after.values)) == 1
        spread = max(self.before.spread, self.after.spread) / value
        return max(_LEAST_OF_ONE if once else _LEAST, spread)

    def row(self) -> str:
        """For a person."""
        unit = f" {self.after.unit}" if self.after.unit else ""
        return (
            f"{self.after.key}: {self.before.median:.4g} -> {self.after.median:.4g}{unit}"
            f" ({abs(self.worse):.0%}, noise {self.noise:.0%})"
        )


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Of every figure that both have and that may be compared. Raises KeyError or TypeError for other documents."""
    same = all(before["machine"].get(name) == after["machine"].get(name) for name in _SAME)
    earlier = {each.key: each for each in read_figures(before["figures"])}
    return [
        Change(earlier[each.key], each)
        for each in read_figures(after["figures"])
        if each.key in earlier and (same or each.unit in _ANYWHERE)
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
        read_figures(document["figures"])
        document["machine"].get("processor")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{path}: not what bench/all.py keeps: {error}\n  try: python bench/all.py --out {path}")
    return dict(document)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was lost and won; 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, metavar="BEFORE")
    parser.add_argument("after", type=Path, metavar="AFTER")
    args = parser.parse_args(arguments)
    before, after = _read(args.before), _read(args.after)
    found = changes(before, after)
    lost = sorted((each for each in found if each.worse > each.noise), key=lambda each: -each.worse)
    won = sorted((each for each in found if -each.worse > each.noise), key=lambda each: each.worse)
    for title, rows in (("lost", lost), ("won", won)):
        for each in rows:
            print(f"{title}: {each.row()}")
    keys = [{row.key for row in read_figures(each["figures"])} for each in (before, after)]
    left_out = len(keys[0] & keys[1]) - len(found)
    if left_out:
        print(f"{left_out} times are not compared, as the two ran on different computers or Pythons")
    for title, names in (("only before", keys[0] - keys[1]), ("only after", keys[1] - keys[0])):
        if names:
            print(f"{title}: {len(names)} figures: {'; '.join(sorted(names)[:3])}{' ...' if len(names) > 3 else ''}")
    print(
        f"{before.get('commit')} -> {after.get('commit')}: {len(found)} figures compared, {len(lost)} lost,"
        f" {len(won)} won, {len(found) - len(lost) - len(won)} within the noise"
    )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
