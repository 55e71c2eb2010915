"""Waiting in Ansible's worker: only for as long as somebody is there who wants to know."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Patience", "bounded"]


class Patience:
    """So many seconds from now on. A worker whose Ansible is gone ends: it must not go on with a machine alone."""

    def __init__(self, seconds: float) -> None:
        self._parent = os.getppid()
        self.began = time.monotonic()
        self._end = self.began + seconds

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._end - time.monotonic())

    @property
    def taken(self) -> float:
        """Seconds since it began."""
        return round(time.monotonic() - self.began, 3)

    def watch(self) -> None:
        """End this process if its parent is gone."""
        if os.getppid() != self._parent:
            os._exit(1)

    def sleep(self, seconds: float) -> None:
        """Wait a little, and look whether the parent is there."""
        time.sleep(min(seconds, self.left))
        self.watch()


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise TimeoutError where what is in this block takes longer: a connection to a machine that vanishes while it is
    used may stay for ever."""

    def ring(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TimeoutError(f"no answer in {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
