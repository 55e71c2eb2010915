"""Progress that is told in parts."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Sum"]


class Sum:
    """Adds up what a callback is told."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._done = 0

    def __call__(self, size: int) -> None:
        self._done += size
        self._tell(self._done)
