"""The kernel's checks, as text."""

from __future__ import annotations

from warmboot.figures import PermitFigures
from warmboot.report.text.handover_check import handover_lines

__all__ = ["permit_lines"]


def permit_lines(figures: PermitFigures) -> list[str]:
    """How many checks passed, of which release, and what was not checked."""
    chosen = f" ({figures.fit}: {figures.why})" if figures.fit else ""
    assumed = f"; assumed: {', and '.join(figures.assumed)}" if figures.assumed else ""
    return [
        f"all {len(figures.passed)} checks of {figures.profile} pass{chosen}{assumed}",
        *(f"not checked: {each}" for each in figures.not_made),
        *(() if figures.handover is None else handover_lines(figures.handover)),
    ]
