"""`warmboot` and its commands, from the parsers that read its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from warmboot.cli.main import parser_for
from warmboot.debian import KERNELS
from warmboot.explain.pages import NAMES
from warmboot.kernel import PROFILES
from warmboot.manual.entries import Command, Entry, Group, Section, Takes

__all__ = ["warmboot"]

_FILES = ("KERNEL", "FILE", "FILE.parquet", "FACTS", "TRACE", "OPERATIONS", "OUT", "PATH", "'FILE WORDS'")
_FOLDERS = ("DIR", "FOLDER")
_RULES = "FILE|-|RULE|ERRNO"


def warmboot() -> Command:
    """The whole command line."""
    return _command(parser_for([]), "kexec in Python: know beforehand whether a kernel will load and boot")


def _command(parser: argparse.ArgumentParser, summary: str) -> Command:
    words = tuple(parser.prog.split())
    below = next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)
    commands = tuple(_commands(below)) if below else ()
    operands = tuple(_entry(parser, each) for each in _operands(parser))
    groups = [Group(group.title or "", tuple(_options(parser, group))) for group in parser._action_groups[1:]]
    examples, sections = _epilog(parser.epilog or "")
    return Command(
        words=words,
        page="-".join(words),
        part=1,
        summary=summary,
        usage=(
            " ".join([parser.prog, "[OPTION]...", *map(_usage, _operands(parser)), *(["COMMAND"] if below else [])]),
        ),
        paragraphs=tuple(" ".join(each.split()) for each in (parser.description or "").split("\n\n")),
        groups=tuple(each for each in groups if each.entries),
        operands=operands,
        examples=examples,
        sections=sections,
        commands=commands,
    )


def _commands(action: argparse._SubParsersAction[argparse.ArgumentParser]) -> Iterator[Command]:
    summaries = {each.dest: each.help or "" for each in action._choices_actions}
    for name, parser in action.choices.items():
        yield _command(parser, summaries[name])


def _operands(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        each for each in parser._actions if not each.option_strings and not isinstance(each, argparse._SubParsersAction)
    ]


def _usage(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return {"+": f"{name}...", "?": f"[{name}]", "*": f"[{name}...]"}.get(str(action.nargs), name)


def _options(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> Iterator[Entry]:
    for each in group._group_actions:
        if each.option_strings and each.help != argparse.SUPPRESS:
            yield _entry(parser, each)


def _entry(parser: argparse.ArgumentParser, action: argparse.Action) -> Entry:
    value = str(action.metavar or action.dest) if action.nargs != 0 else ""
    files = value in _FILES or (action.type is Path and value not in _FOLDERS) or value == _RULES
    return Entry(
        names=tuple(action.option_strings),
        value=value,
        text=parser._get_formatter()._expand_help(action) if action.help else "",
        words=_words(action, value),
        takes=Takes.FOLDERS if value in _FOLDERS else Takes.FILES if files else Takes.NOTHING,
        repeated=isinstance(action, argparse._AppendAction) or action.nargs in ("+", "*"),
    )


def _words(action: argparse.Action, value: str) -> tuple[str, ...]:
    """The values that are known; of some names of values beside argparse's choices."""
    if action.choices is not None:
        return tuple(map(str, action.choices))
    return {"NAME|list": (*(each.name for each in PROFILES), "list"), "SERIES": tuple(KERNELS), _RULES: NAMES}.get(
        value, ()
    )


def _epilog(text: str) -> tuple[tuple[str, ...], tuple[Section, ...]]:
    """The examples, and the other sections."""
    examples: tuple[str, ...] = ()
    sections = []
    for each in filter(None, text.split("\n\n")):
        title, _, rest = each.partition(":\n")
        lines = [line.removeprefix("  ") for line in rest.split("\n")]
        if title == "examples":
            examples = tuple(line.removeprefix("$ ") for line in lines)
        else:
            sections.append(Section(title, tuple(_rows(lines))))
    return examples, tuple(sections)


def _rows(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, tab, text = line.partition("\t")
        yield (name.strip(), text) if tab else ("", line)
