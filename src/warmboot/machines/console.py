"""A machine's serial console: lines with the time at which they came, in bounded memory."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["COPY_LIMIT", "LONGEST_LINE", "MOST_LINES", "Console", "ConsoleLine"]

_COALESCE = 0.001  # seconds: the serial port writes byte by byte, and waking for each would starve the guest
_QUIET = 0.2  # seconds after which an unfinished line is shown: a prompt has no newline

LONGEST_LINE = 4 << 20  # bytes: a longer line is cut into several; the longest known, a memory map in hex, has 200 KiB
MOST_LINES = 100_000  # lines, and bytes in them, that may wait for a reader: older ones are dropped and counted
_MOST_BYTES = 16 << 20
COPY_LIMIT = 64 << 20  # bytes of a console that are kept in a file


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
    """The reader of the serial port, a pipe or a socket: a thread that stamps lines as they come.

    Whatever the guest does, memory stays bounded: `dropped` counts the lines that nobody read in time, and of a `copy`
    the first `copy_limit` bytes are written, with a last line that says so; then `copy_is_cut`.
    """

    def __init__(
        self,
        port: BinaryIO | socket.socket,
        copy: BinaryIO | None,
        *,
        copy_limit: int = COPY_LIMIT,
        longest_line: int = LONGEST_LINE,
    ) -> None:
        self._port = port
        self._longest_line = longest_line
        self._copy, self._copy_left = copy, copy_limit
        self.copy_limit: int = copy_limit
        self.copy_is_cut: bool = False
        self.dropped: int = 0
        self._waiting: deque[ConsoleLine] = deque()
        self._bytes = 0  # about those in `_waiting`
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """Lines until the port is closed and everything was seen, or `timeout` seconds are over: also where lines
        come faster than they are read."""
        deadline = time.monotonic() + timeout
        first = True
        while True:
            with self._changed:
                while not self._waiting:
                    left = deadline - time.monotonic()
                    if self._ended or left <= 0:
                        return
                    self._changed.wait(left)
                if not first and time.monotonic() >= deadline:
                    return
                line = self._waiting.popleft()
                self._bytes -= len(line.text)
            first = False
            yield line

    def close(self) -> None:
        """Wait for the thread; only when the other end is closed, or this would wait for it."""
        self._thread.join()
        self._port.close()

    def _read(self) -> None:
        rest = bytearray()  # the unfinished line
        shown = -1  # how much of it has been shown
        last = 0.0  # when its last byte came
        while True:
            wait = _QUIET if rest and len(rest) != shown else None
            if not select.select([self._port], [], [], wait)[0]:
                self._put(rest, last, complete=False)
                shown = len(rest)
                continue
            try:
                piece = os.read(self._port.fileno(), 1 << 16)
            except ConnectionError:  # a socket whose other end was killed with input unread
                piece = b""
            if not piece:
                break
            last = time.monotonic()
            self._copy_out(piece)
            head, newline, tail = piece.rpartition(b"\n")
            if newline:
                for line in bytes(rest + head).split(b"\n"):
                    self._put(line, last)
                rest, shown = bytearray(tail), -1
            else:
                rest += piece
                if len(rest) > self._longest_line:
                    self._put(rest, last)
                    rest, shown = bytearray(), -1
            time.sleep(_COALESCE)
        if rest and len(rest) != shown:
            self._put(rest, last, complete=False)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, line: bytes | bytearray, when: float, *, complete: bool = True) -> None:
        text = line.strip(b"\r").decode("utf-8", "replace")
        with self._changed:
            self._waiting.append(ConsoleLine(when, text, complete))
            self._bytes += len(text)
            while len(self._waiting) > MOST_LINES or (self._bytes > _MOST_BYTES and len(self._waiting) > 1):
                self._bytes -= len(self._waiting.popleft().text)
                self.dropped += 1
            self._changed.notify()

    def _copy_out(self, piece: bytes) -> None:
        if self._copy is None:
            return
        if len(piece) > self._copy_left:
            self.copy_is_cut = True
            piece = piece[: self._copy_left] + (
                b"\n[warmboot: the console goes on; %d bytes are kept]\n" % self.copy_limit
            )
        self._copy_left -= len(piece)
        try:
            self._copy.write(piece)
            self._copy.flush()
        except (OSError, ValueError):  # the reader of the copy is gone: that is no reason to lose lines
            self._copy = None
        if self.copy_is_cut:
            self._copy = None
