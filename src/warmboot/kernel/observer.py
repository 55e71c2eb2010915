"""Who is told how a load goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from warmboot.kernel.rules import Rule
from warmboot.records import dataclass

__all__ = ["LoadObserver", "Told"]


class LoadObserver(Protocol):
    """Told of one load while it goes on."""

    def passed(self, rule: Rule) -> None:
        """The request has passed a rule."""
        ...

    def progress(self, size: int) -> None:
        """`size` more bytes are loaded."""
        ...


def _ignore(_: object) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Told:
    """An observer made of functions."""

    passed: Callable[[Rule], None] = _ignore
    progress: Callable[[int], None] = _ignore
