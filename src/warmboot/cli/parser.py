"""Parsers and their help, the same for every command: when to use it, options, examples, exit status, environment."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import textwrap

from warmboot.cli.environment import VARIABLES
from warmboot.errors import ExitStatus, InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

__all__ = ["EXIT_STATUSES", "Formatter", "Parser", "Subparsers", "add_command", "examples_section", "section"]

Subparsers = argparse._SubParsersAction  # argparse has no public name for it

_LONGEST_NAME = 40  # characters of a mistyped name
_WIDEST = 100  # columns: longer lines are hard to read
EXIT_STATUSES = {
    str(int(status)): meaning
    for status, meaning in (
        (ExitStatus.DONE, "done"),
        (ExitStatus.REFUSED, "refused or failed"),
        (ExitStatus.USAGE, "wrong usage, or input that cannot be used"),
        (ExitStatus.NOT_TRIED, "could not be tried: QEMU or another program is missing, or there is not enough room"),
        (ExitStatus.TIMEOUT, "time-out"),
        (128 + signal.SIGINT, "interrupted"),
    )
}


class Parser(argparse.ArgumentParser):
    """Wrong usage is an InputError like every other."""

    def error(self, message: str) -> NoReturn:
        """What argparse calls. Raises InputError; of a name that was mistyped the one that is meant comes first."""
        near = _meant(message)
        raise InputError(
            message, hint=f"{near}, if that is meant; {self.prog} --help" if near else f"{self.prog} --help"
        )


def _meant(message: str) -> str | None:
    """The name most like the one that argparse refuses, None where no name is like it."""
    wrong, _, names = message.partition("invalid choice: ")[2].partition(" (choose from ")
    if not names:
        return None
    from difflib import get_close_matches  # noqa: PLC0415 - only for who has mistyped

    choices = [each.strip(" '") for each in names.rstrip(")").split(",")]
    return next(iter(get_close_matches(wrong.strip("'")[:_LONGEST_NAME], choices, 1)), None)


class Formatter(argparse.HelpFormatter):
    """Folds paragraphs and sections to the terminal's width; a long example is continued with a backslash."""

    def __init__(self, prog: str) -> None:
        width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
        super().__init__(prog, max_help_position=min(28, width // 3), width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        del indent
        return "\n\n".join(_block(each.split("\n"), width) for each in text.split("\n\n"))


def _block(lines: Sequence[str], width: int) -> str:
    """A paragraph, or a section: a title and rows, indented by two spaces, with an optional tab after their name."""
    if not any(line.startswith("  ") for line in lines):
        return textwrap.fill(" ".join(lines), width, break_on_hyphens=False, break_long_words=False)
    names = [len(line.partition("\t")[0]) for line in lines if "\t" in line]
    column = max(names, default=0) + 2
    shown: list[str] = []
    for line in lines:
        name, tab, text = line.partition("\t")
        if name.startswith("  $ "):
            shown += _example(name, width)
        elif not tab:
            shown += textwrap.wrap(line, width, subsequent_indent="    ", break_on_hyphens=False) or [""]
        elif column > width // 2:
            shown += [name, *textwrap.wrap(text, width, initial_indent="      ", subsequent_indent="      ")]
        else:
            hang = " " * column
            shown += textwrap.wrap(name.ljust(column) + text, width, subsequent_indent=hang, break_on_hyphens=False)
    return "\n".join(shown)


def _example(line: str, width: int) -> list[str]:
    """Folded between words, never within quotes, nor between an option and its value."""
    lines, now = [], ""
    for word in re.findall(r'(?:--\S+ (?!-))?(?:"[^"]*"|\S)+', line.removeprefix("  $ ")):
        if now and len(now) + len(word) + 3 > width:
            lines.append(f"{now} \\")
            now = f"      {word}"
        else:
            now = f"{now} {word}" if now else f"  $ {word}"
    return [*lines, now]


def section(title: str, rows: Mapping[str, str]) -> str:
    """A section of help: rows of a name and what it is."""
    return "\n".join([f"{title}:", *(f"  {name}\t{text}" for name, text in rows.items())])


def examples_section(examples: Sequence[str]) -> str:
    """The section that a test runs, line by line."""
    return "\n".join(["examples:", *(f"  $ {each}" for each in examples)])


def add_command(
    subparsers: Subparsers[argparse.ArgumentParser],
    name: str,
    *,
    summary: str,
    when: str,
    about: str = "",
    examples: Sequence[str],
    sections: Sequence[str] = (),
    statuses: Mapping[str, str] | None = None,
    environment: Sequence[str] = (),
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add a command. `when` says when to use it, `statuses` replaces the meaning of exit statuses."""
    parts = [
        *sections,
        examples_section(examples),
        section("exit status", {**EXIT_STATUSES, **(statuses or {})}),
    ]
    if environment:
        parts.append(section("environment", {each: VARIABLES[each] for each in environment}))
    return subparsers.add_parser(
        name,
        help=summary,
        description="\n\n".join(filter(None, [when, about])),
        epilog="\n\n".join(parts),
        formatter_class=Formatter,
        parents=parents,
    )
