"""`warmboot risks` as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmboot.risks.risks import Risks

__all__ = ["risks_lines"]


def risks_lines(answer: Risks) -> Iterator[str]:
    """A risk a line, the likely first; then what was looked at."""
    for each in answer.risks:
        yield f"{each.confidence:<8}  {each.rule:<14}  {each.seen}"
    if not answer.risks:
        yield f"nothing was seen{'' if answer.devices is not None else ' in /sys'} that would fail after the jump"
    if answer.devices is not None:
        yield f"{answer.devices} devices on buses were looked at"
    if answer.risks:
        yield f"why, and what helps: warmboot explain {answer.risks[0].rule}"
