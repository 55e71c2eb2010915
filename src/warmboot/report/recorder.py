"""An observer that keeps the console for a file, while another one shows the stages."""

from __future__ import annotations

from collections import deque

from warmboot.kernel import Rule
from warmboot.stages import Observer, Stage

__all__ = ["Recorder"]

_LINES = 5000  # the console's last lines that are kept
_LENGTH = 1000  # characters of a line that are kept


class Recorder:
    """Passes everything on to `observer`; `lines` are the console's last, `left_out` is how many came before them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.lines: deque[str] = deque(maxlen=_LINES)
        self.left_out: int = 0

    def begins(self, name: str) -> None:
        self._observer.begins(name)

    def progress(self, name: str, done: int, total: int) -> None:
        self._observer.progress(name, done, total)

    def check(self, rule: Rule) -> None:
        self._observer.check(rule)

    def console(self, text: str) -> None:
        self.left_out += len(self.lines) == _LINES
        self.lines.append(text[:_LENGTH])
        self._observer.console(text)

    def ends(self, stage: Stage) -> None:
        self._observer.ends(stage)
