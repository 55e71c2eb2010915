"""Ctrl-C while a thread of ours works on memory that must outlive it."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """SIGINT is only noted in the block, in `seen`, and handled when it ends.

    An exception could be raised at any instruction: after a thread was started and before that is known, or while a
    lock of threading, which is Python code, is held. Signal handlers run in the main thread only: in other threads this
    does nothing.
    """

    def __init__(self) -> None:
        self.seen: bool = False
        self._previous: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if callable(self._previous):
            signal.signal(signal.SIGINT, self._previous)
            if self.seen:
                self._previous(signal.SIGINT, None)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.seen = True
