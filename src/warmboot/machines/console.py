"""A machine's serial console: lines with the time at which they came, in bounded memory whatever the machine sends."""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from warmboot.machines.console_copy import ConsoleCopy
from warmboot.records import dataclass

__all__ = ["ConsoleLine", "ConsoleReader", "LineSplitter"]

_COALESCE = 0.001  # seconds: the serial port writes byte by byte, and waking for each would starve the guest
_QUIET = 0.2  # seconds after which an unfinished line is shown: a prompt has no newline
_LONGEST = 64 << 10  # bytes of a line; the rest of it is dropped
_BACKLOG = 16 << 20  # bytes of lines that nobody has read yet
_LINE_COST = 256  # bytes that a line takes beside its text


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line from the serial port, without its line end.

    `time` is when its last byte came, in seconds of time.monotonic(), to the millisecond. A line that is
    not `complete` was shown because nothing followed for a while; it comes again, whole, if it goes on. Of one that
    was `cut` the end is missing, as it was too long.
    """

    time: float
    text: str
    complete: bool = True
    cut: bool = False


class ConsoleReader:
    """The reader of the serial port, a pipe or a socket: a thread that stamps lines as they come.

    Everything that comes is also written to `copy`. A line has at most `longest` bytes. Lines that come faster than
    they are read are dropped at some point; then one line in their place says so.
    """

    def __init__(
        self, port: BinaryIO | socket.socket, copy: ConsoleCopy | None = None, *, longest: int = _LONGEST
    ) -> None:
        self._port = port
        self._copy = copy
        self._splitter = LineSplitter(longest)
        self._backlog = _Backlog()
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def notes(self) -> tuple[str, ...]:
        """What was not kept, in words; empty where nothing was lost."""
        dropped = self._backlog.dropped
        lines = (_dropped(dropped),) if dropped else ()
        return (*lines, self._copy.ended) if self._copy is not None and self._copy.ended else lines

    def lines(self, timeout: float) -> Iterator[ConsoleLine]:
        """Lines until the port is closed and everything was seen, or `timeout` seconds are over.

        A line that is there already is given even where `timeout` is 0; a port that never falls silent ends nothing
        but its own lines.
        """
        deadline = time.monotonic() + timeout
        left = timeout
        while not self._ended:
            try:
                line = self._backlog.get(max(0.0, left))
            except queue.Empty:
                return
            if line is None:
                self._ended = True
                return
            yield line
            left = deadline - time.monotonic()
            if left <= 0:
                return

    def close(self) -> None:
        """Wait for the thread; only when the other end is closed, or this would wait for it."""
        self._thread.join()
        self._port.close()

    def _read(self) -> None:
        splitter = self._splitter
        shown = 0  # bytes of the unfinished line that have been shown
        last = 0.0  # when its last byte came
        while True:
            if not select.select([self._port], [], [], None if len(splitter.rest) == shown else _QUIET)[0]:
                self._put(splitter.rest, last, complete=False)
                shown = len(splitter.rest)
                continue
            try:
                piece = os.read(self._port.fileno(), 1 << 16)
            except ConnectionError:  # a socket whose other end was killed with input unread
                piece = b""
            if not piece:
                break
            last = time.monotonic()
            if self._copy is not None:
                self._copy.write(piece)
            for line, cut in splitter.feed(piece):
                self._put(line, last, cut=cut)
                shown = 0
            time.sleep(_COALESCE)
        if len(splitter.rest) != shown:
            self._put(splitter.rest, last, complete=False)
        self._backlog.end()

    def _put(self, line: bytes | bytearray, when: float, *, complete: bool = True, cut: bool = False) -> None:
        self._backlog.put(ConsoleLine(when, line.strip(b"\r").decode("utf-8", "replace"), complete, cut))


class LineSplitter:
    """Bytes as they come, made into lines of at most `longest` bytes; what a line has beyond that is dropped.

    `rest` is the unfinished line.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._skips = False  # to the end of a line that was too long
        self.rest: bytearray = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[bytes, bool]]:
        """The lines that `piece` finishes, each with whether it was cut."""
        *finished, rest = piece.split(b"\n")
        for each in finished:
            if not self._skips:
                yield from self._grown(each, whole=True)
            self._skips = False
        if not self._skips:
            yield from self._grown(rest, whole=False)

    def _grown(self, piece: bytes, *, whole: bool) -> Iterator[tuple[bytes, bool]]:
        room = self._longest - len(self.rest)
        self.rest += piece[:room]
        cut = len(piece) > room
        if whole or cut:
            line, self.rest, self._skips = bytes(self.rest), bytearray(), not whole
            yield line, cut


class _Backlog:
    """Lines between the thread that reads them and whoever wants them: at most so many bytes, the others counted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: deque[ConsoleLine | None] = deque()
        self._size = 0
        self._gap = 0  # lines dropped since the last one that was kept
        self.dropped = 0

    def put(self, line: ConsoleLine) -> None:
        with self._changed:
            if self._size + _cost(line) > _BACKLOG:
                self._gap += 1
                self.dropped += 1
                return
            self._tell_gap(line.time)
            self._append(line)

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._tell_gap(time.monotonic())
            self._lines.append(None)
            self._changed.notify()

    def get(self, timeout: float) -> ConsoleLine | None:
        """The next line, None where all were seen. Raises queue.Empty after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._lines, timeout):
                raise queue.Empty
            line = self._lines.popleft()
            if line is not None:
                self._size -= _cost(line)
            return line

    def _tell_gap(self, when: float) -> None:
        if self._gap:
            self._append(ConsoleLine(when, f"[warmboot: {_dropped(self._gap)}]"))
            self._gap = 0

    def _append(self, line: ConsoleLine) -> None:
        self._lines.append(line)
        self._size += _cost(line)
        self._changed.notify()


def _cost(line: ConsoleLine) -> int:
    return len(line.text) + _LINE_COST


def _dropped(count: int) -> str:
    return f"{count} lines of the console were dropped: they came faster than they could be read"
