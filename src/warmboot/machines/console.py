"""A machine's serial console: lines with the time at which they came."""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Console", "ConsoleLine"]

_COALESCE = 0.001  # seconds: the serial port writes byte by byte, and waking for each would starve the guest
_QUIET = 0.2  # seconds after which an unfinished line is shown: a prompt has no newline


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line from the serial port, without its line end.

    `time` is when its last byte came, in seconds of time.monotonic(), to the millisecond. A line that is
    not `complete` was shown because nothing followed for a while; it comes again, whole, if it goes on.
    """

    time: float
    text: str
    complete: bool = True


class Console:
    """The reader of the serial port, a pipe or a socket: a thread that stamps lines as they come."""

    def __init__(self, port: BinaryIO | socket.socket, copy: BinaryIO | None) -> None:
        self._port = port
        self._copy = copy
        self._lines: queue.SimpleQueue[ConsoleLine | None] = queue.SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """Lines until the port is closed and everything was seen, or `timeout` seconds are over."""
        deadline = time.monotonic() + timeout
        while not self._ended:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            if line is None:
                self._ended = True
                return
            yield line

    def close(self) -> None:
        """Wait for the thread; only when the other end is closed, or this would wait for it."""
        self._thread.join()
        self._port.close()

    def _read(self) -> None:
        rest = b""  # the unfinished line
        shown = b""  # what of it has been shown
        last = 0.0  # when its last byte came
        while True:
            if not select.select([self._port], [], [], None if rest == shown else _QUIET)[0]:
                self._put(rest, last, complete=False)
                shown = rest
                continue
            try:
                piece = os.read(self._port.fileno(), 1 << 16)
            except ConnectionError:  # a socket whose other end was killed with input unread
                piece = b""
            if not piece:
                break
            last = time.monotonic()
            self._copy_out(piece)
            *finished, rest = (rest + piece).split(b"\n")
            for line in finished:
                self._put(line, last)
            if finished:
                shown = b""
            time.sleep(_COALESCE)
        if rest != shown:
            self._put(rest, last, complete=False)
        self._lines.put(None)

    def _put(self, line: bytes, when: float, *, complete: bool = True) -> None:
        self._lines.put(ConsoleLine(when, line.strip(b"\r").decode("utf-8", "replace"), complete))

    def _copy_out(self, piece: bytes) -> None:
        if self._copy is None:
            return
        try:
            self._copy.write(piece)
            self._copy.flush()
        except (OSError, ValueError):  # the reader of the copy is gone: that is no reason to lose lines
            self._copy = None
