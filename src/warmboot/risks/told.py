"""The lines of a machine's `devices`, and the names in its /proc/iomem: text of others, bounded."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.memmap.iomem import MOST_LINES, Resource, parse_iomem
from warmboot.risks.risk import Told

__all__ = ["lines", "names", "resources"]

_MOST = 4096  # things of a kind


def lines(told: Told, kind: str) -> list[str]:
    """A line for each thing of that kind; none where it is not known."""
    return [each for each in (told.devices or {}).get(kind, "").split("\n", _MOST)[:_MOST] if each]


def names(told: Told) -> list[str]:
    """What /proc/iomem names. The addresses are not looked at: with them it takes a fifth of a fleet's check."""
    rows = (line.partition(" : ") for line in told.iomem.split("\n", MOST_LINES)[:MOST_LINES])
    return [name.rstrip() for _, _, name in rows if name]


def resources(text: str | None) -> list[Resource]:
    """The lines of a memory map; none of one that cannot be read."""
    try:
        return parse_iomem(text or "")
    except InputError:
        return []
