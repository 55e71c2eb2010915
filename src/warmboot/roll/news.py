"""What is told while a roll goes on."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["News"]


class News(NamedTuple):
    """What happened: to a machine, or to all where its name is empty; `good` is None for what is neither good nor
    bad."""

    machine: str
    step: str
    text: str
    good: bool | None = None
