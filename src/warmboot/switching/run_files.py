"""Where a switch leaves what outlives it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["KEPT_JOURNAL"]

KEPT_JOURNAL = Path("/var/lib/warmboot/switch.journal")  # for a report where nothing is handed over
