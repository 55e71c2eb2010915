"""Watchdogs that run: a hardware watchdog goes on counting over the jump."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.risks.risk import LIKELY, POSSIBLE, Risk, Told
from warmboot.risks.told import lines, names
from warmboot.visible import visible

__all__ = ["watchdogs"]

_PARTS = ("wdt", "watchdog")
_NAMED = re.compile("|".join(_PARTS), re.IGNORECASE)


def watchdogs(told: Told) -> Iterator[Risk]:
    """Each one that is active; where none is told of, one that /proc/iomem names may be."""
    known = [(*line.split(" ", 3), "", "", "")[:4] for line in lines(told, "watchdogs")]
    for name, state, timeout, identity in known:
        if state == "active":
            who = visible(identity or "a watchdog", most=80)
            seen = f"{visible(name, most=20)} ({who}) runs: it resets the machine {visible(timeout, most=20)} s after"
            yield Risk("watchdog", LIKELY, f"a watchdog runs: {who}", f"{seen} the last that feeds it")
    if not known:
        named = next(filter(_NAMED.search, names(told, _PARTS)), None)
        if named is not None:
            shown = visible(named, most=80)
            yield Risk("watchdog", POSSIBLE, f"there is a watchdog, {shown}", f"/proc/iomem has {shown}")
