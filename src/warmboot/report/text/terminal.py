"""Output to a terminal: width, colours, a progress line, and no control characters from outside.

NO_COLOR (https://no-color.org) and TERM=dumb disable colours; TERM=dumb disables the progress line, too.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from typing import NamedTuple, TextIO

from warmboot.report.text.words import size_text
from warmboot.visible import visible

__all__ = ["Count", "Progress", "Span", "Terminal"]

_NARROWEST = 40  # columns: on a narrower terminal lines are not folded


class Span(NamedTuple):
    """Text in a colour: `code` is what ECMA-48's SGR takes."""

    text: str
    code: str


class Terminal:
    """Standard output. Control characters are escaped; lines too long for a terminal are folded.

    With `colour` there are colours, wherever it goes.
    """

    def __init__(self, stream: TextIO | None = None, *, colour: bool = False) -> None:
        self._stream = stream or sys.stdout
        watched = self._stream.isatty()
        self._colour = colour or (watched and not os.environ.get("NO_COLOR") and _moves())
        self.width: int = shutil.get_terminal_size().columns if watched else 0  # columns, 0 for any number

    def line(self, *parts: str | Span, indent: int = 0) -> None:
        """Print one line made of these parts and flush it; what does not fit is continued after `indent` spaces."""
        spans = [_visible(each) for each in parts]
        lines = self._folded(spans, indent) if self._too_wide(spans) else [spans]
        self._stream.write("".join("".join(map(self._shown, each)) + "\n" for each in lines))
        self._stream.flush()

    def good(self, text: str) -> Span:
        """Text of success."""
        return Span(text, "32")

    def bad(self, text: str) -> Span:
        """Text of failure."""
        return Span(text, "1;31")

    def faint(self, text: str) -> Span:
        """Secondary text."""
        return Span(text, "2")

    def bold(self, text: str) -> Span:
        """The name of a stage."""
        return Span(text, "1")

    def _too_wide(self, spans: list[Span]) -> bool:
        return self.width >= _NARROWEST and sum(len(each.text) for each in spans) > self.width

    def _folded(self, spans: list[Span], indent: int) -> list[list[Span]]:
        """Lines of whole words, each part in the colour of its span."""
        text = "".join(each.text for each in spans)
        ends, at = [], 0
        for each in spans:
            at += len(each.text)
            ends.append(at)
        wrapped = textwrap.wrap(
            text,
            self.width,
            subsequent_indent=" " * indent,
            expand_tabs=False,
            replace_whitespace=False,
            break_on_hyphens=False,
        )
        lines, at = [], 0
        for number, line in enumerate(wrapped):
            words = line[indent:] if number else line
            start = text.index(words, at)
            at = start + len(words)
            cut = [
                Span(text[max(start, end - len(each.text)) : min(at, end)], each.code)
                for each, end in zip(spans, ends, strict=True)
                if end > start and end - len(each.text) < at
            ]
            lines.append([Span(" " * indent, ""), *cut] if number else cut)
        return lines

    def _shown(self, span: Span) -> str:
        return f"\x1b[{span.code}m{span.text}\x1b[0m" if self._colour and span.code and span.text else span.text


def _visible(part: str | Span) -> Span:
    text, code = (part, "") if isinstance(part, str) else part
    return Span(visible(text, keep_tab=True), code)


def _moves() -> bool:
    """Whether the terminal understands escape sequences."""
    return os.environ.get("TERM") != "dumb"


class Progress:
    """A line on a terminal that is updated during a long operation; nothing where stderr is no terminal.

    It appears after `patience` seconds, and not more often than ten times a second.
    """

    def __init__(self, stream: TextIO | None = None, *, patience: float = 0.5) -> None:
        self._stream = stream or sys.stderr
        self._watched = self._stream.isatty() and _moves()
        self._patience = patience
        self._began = time.monotonic()
        self._next = 0.0
        self._shown = False

    def begin(self) -> None:
        """A new operation begins."""
        self.clear()
        self._began = time.monotonic()
        self._next = self._began + self._patience

    def show(self, name: str, done: int, total: int) -> None:
        """`done` of `total` bytes are done."""
        now = time.monotonic()
        if not self._watched or now < self._next or not total:
            return
        self._next = now + 0.1
        cells = min(30, max(4, shutil.get_terminal_size().columns - 50))
        filled = min(cells, cells * done // total)
        rate = done / max(now - self._began, 0.001)
        left = (total - done) / rate if rate else 0.0
        bar = "#" * filled + "." * (cells - filled)
        self._stream.write(f"\r{name:10}[{bar}] {size_text(done)} of {size_text(total)}, {left:.0f} s left \x1b[K")
        self._stream.flush()
        self._shown = True

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False


class Count:
    """The same for work whose end is not known: so many are done."""

    def __init__(self, stream: TextIO | None = None, *, patience: float = 0.5) -> None:
        self._stream = stream or sys.stderr
        self._watched = self._stream.isatty() and _moves()
        self._next = time.monotonic() + patience
        self._shown = False

    def show(self, text: str) -> None:
        """`text` says how much is done."""
        now = time.monotonic()
        if self._watched and now >= self._next:
            self._next = now + 0.1
            self._stream.write(f"\r{text} \x1b[K")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
