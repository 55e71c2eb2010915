"""Risks as text: the answer of `warmboot risks`, and the stage of a load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmboot.figures import RisksFigures
    from warmboot.risks.risks import Risks

__all__ = ["risks_lines", "risks_stage_lines"]

_MOST = 8  # lines of a stage


def risks_lines(answer: Risks) -> Iterator[str]:
    """A risk a line, the likely first; then what was looked at."""
    for each in answer.risks:
        yield f"{each.confidence:<8}  {each.rule:<15}  {each.seen}"
    if not answer.risks:
        yield "nothing was seen that would fail after the jump"
    if answer.devices is not None:
        yield f"{answer.devices} devices on buses were looked at"
    if answer.risks:
        yield f"why, and what helps: warmboot explain {answer.risks[0].rule}"


def risks_stage_lines(figures: RisksFigures) -> list[str]:
    """What may fail after the jump, as far as there is room for it."""
    if not figures.risks:
        return ["nothing is foreseen that would fail after the jump"]
    shown = figures.risks[:_MOST]
    lines = [f"{each.confidence}: {each.seen} ({each.rule})" for each in shown]
    if len(shown) < len(figures.risks):
        lines.append(f"and {len(figures.risks) - len(shown)} more: warmboot risks")
    return [*lines, f"nothing is refused for that; what helps: warmboot explain {shown[0].rule}"]
