"""Stages as text, printed as they happen: each with its figures, then the verdict."""

from __future__ import annotations

from warmboot.errors import ExitStatus
from warmboot.kernel import Rule
from warmboot.report.text.terminal import Progress, Span, Terminal
from warmboot.stages import Outcome, Result, Stage

__all__ = ["TextReport"]

_NAME = 10  # width of the column in which a stage's name stands
_NARROW = 72  # columns: less leaves no room for that column


class TextReport:
    """An Observer that prints; with `show_console` a booting kernel's lines are among its own."""

    def __init__(self, *, show_console: bool = True) -> None:
        self._terminal = Terminal()
        self._progress = Progress()
        self._show_console = show_console
        self._name = ""

    def begins(self, name: str) -> None:
        self._progress.begin()
        self._name = name

    def progress(self, name: str, done: int, total: int) -> None:
        self._progress.show(name, done, total)

    def check(self, rule: Rule) -> None:
        self._progress.clear()
        self._show(self._terminal.good("passed"), f"   {rule.name}")

    def console(self, text: str) -> None:
        if self._name:
            self._show("the new kernel's console:" if self._show_console else "under way")
        if self._show_console:
            self._terminal.line(self._terminal.faint(f"  | {text}"))

    def ends(self, stage: Stage) -> None:
        self._progress.clear()
        if stage.outcome is Outcome.PASSED:
            from warmboot.report.text.figures import figures_lines  # noqa: PLC0415 - when the first stage is done

            width = self._terminal.width
            room = width - (2 if width < _NARROW else _NAME) if width else 0
            for line in figures_lines(stage.figures, room) if stage.figures is not None else ["passed"]:
                self._show(line)
            return
        colour = self._terminal.faint if stage.outcome is Outcome.NOT_TRIED else self._terminal.bad
        errno = f" {stage.refusal.errno} by {stage.refusal.rule}" if stage.refusal is not None else ""
        self._show(colour(stage.outcome), f"{errno}: {stage.problem}")

    def verdict(self, result: Result) -> None:
        """Print the verdict, and the hint if there is one."""
        self._progress.clear()
        passed = result.exit_status is ExitStatus.DONE
        self._name = "verdict"
        self._show((self._terminal.good if passed else self._terminal.bad)(result.verdict))
        if result.hint:
            self._show(f"try: {result.hint}")

    def close(self) -> None:
        """Erase an unfinished progress line."""
        self._progress.clear()

    def _show(self, *parts: str | Span) -> None:
        name, terminal = self._name, self._terminal
        if 0 < terminal.width < _NARROW:  # the name stands on a line of its own
            if name:
                terminal.line(terminal.bold(name))
            terminal.line("  ", *parts, indent=2)
        else:
            terminal.line(terminal.bold(name), " " * (_NAME - len(name)), *parts, indent=_NAME)
        self._name = ""
