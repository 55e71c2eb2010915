"""Stages as they happen, for a person: each with its figures, then the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from warmboot.errors import ExitStatus
from warmboot.kernel import Rule
from warmboot.report.text.image import image_lines
from warmboot.report.text.terminal import Progress, Terminal, size_text, table
from warmboot.stages import Outcome, Result, Stage

__all__ = ["TextReport", "inspect_lines", "segment_lines"]

_NAME = 10  # width of the column in which a stage's name stands


class TextReport:
    """An Observer that prints. `lines` are those of each stage that passed, by its name; with `show_console` a booting
    kernel's lines are among its own."""

    def __init__(self, lines: Mapping[str, Callable[[Stage], list[str]]], *, show_console: bool = True) -> None:
        self._lines = lines
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
            self._show(self._lines[stage.name](stage))
            return
        colour = self._terminal.faint if stage.outcome is Outcome.NOT_TRIED else self._terminal.bad
        errno = f" {stage.figures['errno']} by {stage.figures['rule']}" if "errno" in stage.figures else ""
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


def inspect_lines(stage: Stage) -> list[str]:
    """What a kernel file is, in a few lines."""
    return image_lines(stage.figures)


def segment_lines(segments: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of segments, each with its name, mem, memsz and bufsz."""
    rows = [("segment", "physical address", "memory", "of it loaded")]
    for each in segments:
        end = each["mem"] + each["memsz"] - 1
        rows.append(
            (each["name"], f"{each['mem']:#011x}-{end:#011x}", size_text(each["memsz"]), size_text(each["bufsz"]))
        )
    return table(rows, right=(2, 3))
