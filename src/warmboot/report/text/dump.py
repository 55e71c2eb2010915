"""Saving and filtering dumps as text: progress with a rate and an end time, and what became of every page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from warmboot.dump.page_rules import FACTS, Rule
from warmboot.report.text.words import size_text, table

if TYPE_CHECKING:
    from warmboot.dump.save import Saved

__all__ = ["SaveProgress", "saved_lines"]


class SaveProgress:
    """How far a dump is, on standard error: a line that is updated on a terminal, else a line every ten seconds.

    The console of a capture kernel is a terminal.
    """

    def __init__(self, page_size: int = 4096, stream: TextIO | None = None) -> None:
        self._page, self._stream = page_size, stream or sys.stderr
        self._watched = self._stream.isatty()
        self._began = time.monotonic()
        self._next = self._began + (0.5 if self._watched else 10.0)
        self._shown = False

    def __call__(self, done: int, total: int, written: int) -> None:
        """`done` of `total` pages are done, `written` bytes are in the dump."""
        now = time.monotonic()
        if now < self._next or not done:
            return
        self._next = now + (0.1 if self._watched else 10.0)
        passed = now - self._began
        rate = done * self._page / passed
        end = time.strftime("%H:%M:%S", time.localtime(time.time() + (total - done) * passed / done))
        text = (
            f"{100 * done / max(1, total):3.0f}% of {size_text(total * self._page)}, {size_text(written)} written, "
            f"{size_text(int(rate))}/s, ends at {end}"
        )
        self._stream.write(f"\r{text}\x1b[K" if self._watched else f"{text}\n")
        self._stream.flush()
        self._shown = self._watched

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def saved_lines(saved: Saved) -> Iterator[str]:
    """The answer of `warmboot dump save`."""
    rows = [("rule", "pages", "", "")]
    for rule in Rule:
        count = saved.pages.get(rule.name.lower(), 0)
        if count and rule is not Rule.HOLE:
            what = "left out" if rule.excludes else "kept"
            rows.append((rule.name.lower(), f"{count}", what, FACTS[rule].what))
    yield from table(rows, right=(1,))
    for each in saved.unsure:
        yield f"kept, as it is not sure: {each}"
    rate = saved.kept * saved.page_size / max(saved.seconds, 0.001)
    yield f"{size_text(saved.bytes)} in {saved.seconds:.1f} s, {size_text(int(rate))}/s of memory"
    for name in saved.files:
        yield f"saved: {name}" if saved.complete else f"not complete: {name}"
