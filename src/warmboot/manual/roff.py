"""Pages for `man`, in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from warmboot import __version__
from warmboot.manual.entries import Command, Entry

__all__ = ["man_page"]

_FOLD = 52  # columns of an example's line, which man indents by seven
_WORD = re.compile(r"\S+")


def man_page(command: Command, related: Sequence[Command]) -> str:
    """The page; `related` are the commands that SEE ALSO names."""
    return "\n".join([*_page(command, related), ""])


def _page(command: Command, related: Sequence[Command]) -> Iterator[str]:
    title = command.page.upper()
    yield '.\\" Made by tools/manual: change what --help says instead.'
    yield f'.TH {_plain(title)} {command.part} "" "warmboot {_plain(__version__)}" "warmboot"'
    yield from (".nh", ".ad l")  # words are copied from here
    yield from (".SH NAME", f"{_plain(command.page)} \\- {_prose(command.summary)}", ".SH SYNOPSIS")
    for number, each in enumerate(command.usage):
        yield from ([".br"] if number else [])
        yield f"\\fB{_plain(command.name)}\\fR{_plain(each.removeprefix(command.name))}"
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate(command.paragraphs):
        yield from ([".PP"] if number else [])
        yield _prose(paragraph)
    if command.commands:
        yield ".SH COMMANDS"
        for below in command.commands:
            yield from _row(f"\\fB{_plain(below.words[-1])}\\fR", f"{below.summary}; see {below.page}({below.part})")
    if command.operands:
        yield ".SH OPERANDS"
        for operand in command.operands:
            yield from _row(f"\\fI{_plain(operand.value)}\\fR", operand.text)
    yield from _options(command)
    for section in command.sections[: _before_examples(command)]:
        yield from _section(section.title, section.rows)
    if command.examples:
        yield from (".SH EXAMPLES", ".nf")
        for line in command.examples:
            yield from map(_literal, _folded(line))
        yield ".fi"
    for section in command.sections[_before_examples(command) :]:
        yield from _section(section.title, section.rows)
    yield ".SH SEE ALSO"
    yield ",\n".join(f"\\fB{_plain(each.page)}\\fR({each.part})" for each in related)


def _before_examples(command: Command) -> int:
    """How many sections stand before the examples: all but exit status and environment."""
    return sum(each.title not in ("exit status", "environment") for each in command.sections)


def _options(command: Command) -> Iterator[str]:
    if command.groups:
        yield ".SH OPTIONS"
    for group in command.groups:
        if group.title != "options":
            yield f'.SS "{_plain(group.title)}"'
        for each in group.entries:
            yield from _row(_spelled(each), each.text)


def _spelled(entry: Entry) -> str:
    names = ", ".join(f"\\fB{_plain(each)}\\fR" for each in entry.names)
    return f"{names} \\fI{_plain(entry.value)}\\fR" if entry.value else names


def _section(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield f".SH {_plain(title.upper())}"
    for number, (name, text) in enumerate(rows):
        if name:
            yield from _row(f"\\fB{_plain(name)}\\fR", text)
        else:
            yield from ([".br"] if number else [])
            yield _prose(text)


def _row(name: str, text: str) -> Iterator[str]:
    yield from (".TP", name, _prose(text) or "\\&")


def _prose(text: str) -> str:
    """Text, in which words that one could type keep their hyphens."""
    line = _WORD.sub(lambda word: _plain(word[0]) if word[0].lstrip("('\"").startswith("-") else _marks(word[0]), text)
    return f"\\&{line}" if line.startswith((".", "'", "\\[aq]")) else line


def _plain(text: str) -> str:
    """Text as it is typed."""
    return _marks(text).replace("-", "\\-")


def _marks(text: str) -> str:
    text = text.replace("\\", "\\[rs]")
    for mark, name in (("'", "aq"), ('"', "dq"), ("`", "ga"), ("^", "ha"), ("~", "ti")):
        text = text.replace(mark, f"\\[{name}]")
    return text


def _literal(line: str) -> str:
    return f"\\&{_plain(line)}" if line.startswith(".") else _plain(line)


def _folded(line: str) -> Iterator[str]:
    """An example, continued with backslashes; never folded within quotes, nor between an option and its value."""
    now = "$"
    for word in re.findall(r"""(?:--\S+ (?!-))?(?:"[^"]*"|'[^']*'|\S)+""", line):
        if len(now) + len(word) + 3 > _FOLD and now != "$":
            yield f"{now} \\"
            now = f"    {word}"
        else:
            now = f"{now} {word}"
    yield now
