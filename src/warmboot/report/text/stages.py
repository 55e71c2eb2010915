"""Stages as they happen, for a person: each with its figures, then the verdict."""

from __future__ import annotations

from warmboot.errors import ExitStatus
from warmboot.kernel import Rule
from warmboot.report.text.figures import figures_lines
from warmboot.report.text.terminal import Progress, Terminal
from warmboot.stages import Outcome, Result, Stage

__all__ = ["TextReport"]

_NAME = 10  # width of the column in which a stage's name stands


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
        self._show([f"{self._terminal.good('passed')}   {rule.name}"])

    def console(self, text: str) -> None:
        if self._name:
            self._show(["the new kernel's console:" if self._show_console else "under way"])
        if self._show_console:
            self._terminal.line(self._terminal.faint(f"  | {text}"))

    def ends(self, stage: Stage) -> None:
        self._progress.clear()
        if stage.outcome is Outcome.PASSED:
            self._show(figures_lines(stage.figures) if stage.figures is not None else ["passed"])
            return
        colour = self._terminal.faint if stage.outcome is Outcome.NOT_TRIED else self._terminal.bad
        errno = f" {stage.refusal.errno} by {stage.refusal.rule}" if stage.refusal is not None else ""
        self._show([f"{colour(stage.outcome)}{errno}: {stage.problem}"])

    def verdict(self, result: Result) -> None:
        """The last line, and what helps where it is not good."""
        self._progress.clear()
        passed = result.exit_status is ExitStatus.DONE
        colour = self._terminal.good if passed else self._terminal.bad
        self._name = "verdict"
        self._show([colour(result.verdict)] + ([f"try: {result.hint}"] if result.hint else []))

    def close(self) -> None:
        """Leave no unfinished line on the terminal."""
        self._progress.clear()

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            name = self._terminal.bold(self._name) if self._name else ""
            self._terminal.line(f"{name}{' ' * (_NAME - len(self._name))}{line}")
            self._name = ""
