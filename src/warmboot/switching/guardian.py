"""A process that outlives `warmboot switch` where that is killed, and tidies up after it: it unloads the image, and
tells hooks to go on. The agent does its part by itself, as it sees the connection end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from warmboot.closing import Closing

__all__ = ["Done", "Guardian"]

_END = "."


class Done(StrEnum):
    """What has been begun, and has to be undone."""

    HOOKS = "h"
    LOAD = "l"


class Guardian(Closing):
    """From now on, if this process dies before `close`, a child of it calls `tidy` with what has been begun.

    It knows what this process knows now, and has of its descriptors the standard ones alone. To be made before threads.
    """

    def __init__(self, tidy: Callable[[frozenset[Done]], None]) -> None:
        reading, self._writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            _watch(reading, tidy)
        os.close(reading)

    def note(self, what: Done) -> None:
        """This begins now."""
        with suppress(OSError):  # it may have been killed
            os.write(self._writing, what.encode())

    def close(self) -> None:
        """It is not needed any more."""
        if self._writing >= 0:
            with suppress(OSError):
                os.write(self._writing, _END.encode())
            os.close(self._writing)
            self._writing = -1
            os.waitpid(self._child, 0)


def _watch(reading: int, tidy: Callable[[frozenset[Done]], None]) -> None:
    """The child: never returns."""
    status = 1
    try:
        os.setsid()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        moved = os.dup2(reading, 3) if reading != 3 else 3
        os.closerange(4, 1 << 16)
        said = ""
        while byte := os.read(moved, 1):
            said += byte.decode()
        if _END not in said:
            tidy(frozenset(each for each in Done if each in said))
        status = 0
    finally:
        os._exit(status)
