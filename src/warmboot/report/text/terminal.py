"""Words for numbers, and a terminal's lines: sizes, tables, progress, colour where there is a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

__all__ = ["Progress", "Terminal", "size_text", "table"]

_UNITS = ("KiB", "MiB", "GiB", "TiB")


def size_text(size: int) -> str:
    """Bytes as a person says them: 11.1 MiB, 512 MiB, 4 KiB."""
    if size < 1024:
        return f"{size} bytes"
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS):
        amount /= 1024
        unit += 1
    return f"{amount:.0f} {_UNITS[unit - 1]}" if amount == int(amount) else f"{amount:.1f} {_UNITS[unit - 1]}"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Rows as lines with columns of even width; the columns numbered in `right` are aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


class Progress:
    """One line on a terminal that is rewritten while something takes long; nothing where nobody watches.

    It appears after `patience` seconds, and not more often than ten times a second.
    """

    def __init__(self, stream: TextIO | None = None, *, patience: float = 0.5) -> None:
        self._stream = stream or sys.stderr
        self._watched = self._stream.isatty()
        self._patience = patience
        self._began = time.monotonic()
        self._next = 0.0
        self._shown = False

    def begin(self) -> None:
        """Something new begins."""
        self.clear()
        self._began = time.monotonic()
        self._next = self._began + self._patience

    def show(self, name: str, done: int, total: int) -> None:
        """`done` of `total` bytes are done."""
        now = time.monotonic()
        if not self._watched or now < self._next or not total:
            return
        self._next = now + 0.1
        filled = min(30, 30 * done // total)
        rate = done / max(now - self._began, 0.001)
        left = (total - done) / rate if rate else 0.0
        bar = "#" * filled + "." * (30 - filled)
        self._stream.write(f"\r{name:10}[{bar}] {size_text(done)} of {size_text(total)}, {left:.0f} s left \x1b[K")
        self._stream.flush()
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False


class Terminal:
    """Standard output, with colour where it is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty()

    def line(self, text: str = "") -> None:
        """Print one line at once."""
        self._stream.write(text + "\n")
        self._stream.flush()

    def good(self, text: str) -> str:
        """Text of success."""
        return self._in("32", text)

    def bad(self, text: str) -> str:
        """Text of failure."""
        return self._in("1;31", text)

    def faint(self, text: str) -> str:
        """Text in the background."""
        return self._in("2", text)

    def bold(self, text: str) -> str:
        """Text that leads."""
        return self._in("1", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text
