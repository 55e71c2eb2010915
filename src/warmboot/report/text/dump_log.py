"""What persistent RAM kept, as text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmboot.dump.ramoops import RamoopsZone

__all__ = ["zone_lines"]


def zone_lines(zone: RamoopsZone) -> Iterator[str]:
    """What and where it is, and when it was written; then its lines."""
    when = ""
    if zone.time is not None:
        when = time.strftime(", of %Y-%m-%d %H:%M:%S UTC", time.gmtime(min(zone.time, 1 << 36)))
    problem = f": {zone.problem}" if zone.problem else ""
    yield f"ramoops, {zone.kind} at {zone.at:#x}{when}{problem}"
    yield from zone.text.split("\n")
