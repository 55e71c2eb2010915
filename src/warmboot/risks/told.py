"""The lines of a machine's `devices`, and the names in its /proc/iomem: text of others, bounded."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.memmap.iomem import Resource, parse_iomem
from warmboot.risks.risk import Told

__all__ = ["lines", "resources"]

_MOST = 4096  # things of a kind


def lines(told: Told, kind: str) -> list[str]:
    """A line for each thing of that kind; none where it is not known."""
    return [each for each in (told.devices or {}).get(kind, "").split("\n", _MOST)[:_MOST] if each]


def resources(text: str | None) -> list[Resource]:
    """The lines of a memory map; none of one that cannot be read."""
    try:
        return parse_iomem(text or "")
    except InputError:
        return []
