"""The lines of a machine's `devices`, and the names in its /proc/iomem: text of others, bounded."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.errors import InputError
from warmboot.memmap.iomem import MOST_LINES, Resource, parse_iomem
from warmboot.risks.risk import Told

__all__ = ["lines", "names", "resources"]

_MOST = 4096  # things of a kind


def lines(told: Told, kind: str) -> list[str]:
    """A line for each thing of that kind; none where it is not known."""
    return [each for each in (told.devices or {}).get(kind, "").split("\n", _MOST)[:_MOST] if each]


def names(told: Told, parts: Sequence[str]) -> list[str]:
    """What /proc/iomem names, where any of `parts`, in lower case, is in its text; most machines of a fleet have none.

    The addresses are not looked at: with them it takes a fifth of a fleet's check.
    """
    text = told.iomem.lower()
    if not any(each in text for each in parts):
        return []
    rows = (line.partition(" : ") for line in told.iomem.split("\n", MOST_LINES)[:MOST_LINES])
    return [name.rstrip() for _, _, name in rows if name]


def resources(text: str | None) -> list[Resource]:
    """The lines of a memory map; none of one that cannot be read."""
    try:
        return parse_iomem(text or "")
    except InputError:
        return []
