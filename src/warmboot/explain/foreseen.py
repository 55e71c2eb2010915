"""What a fact speaks for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Foreseen"]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A rule that a fact speaks for, in words; `weight` orders, the smaller first."""

    rule: str
    confidence: str
    fact: str
    weight: int = 3
