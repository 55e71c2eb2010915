"""Pages of the reference, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from warmboot.manual.entries import Command, Entry

__all__ = ["markdown_page"]


def markdown_page(command: Command) -> str:
    """The page of a command; those below it are linked by the names of their pages."""
    return "\n".join([*_page(command), ""])


def _page(command: Command) -> Iterator[str]:
    yield from (f"# `{command.name}`", "", _sentence(_text(command.summary)), "")
    yield from ("```text", *command.usage, "```", "")
    for paragraph in command.paragraphs:
        yield from (_text(paragraph), "")
    if command.commands:
        rows = [(f"[`{each.name}`]({each.page}.md)", _text(each.summary)) for each in command.commands]
        yield from _table("Commands", ("command", "what it does"), rows)
    if command.operands:
        rows = [(f"`{each.value}`", _text(each.text)) for each in command.operands]
        yield from _table("Operands", ("operand", "what it is"), rows)
    for group in command.groups:
        rows = [(_spelled(each), _text(each.text)) for each in group.entries]
        yield from _table(group.title[:1].upper() + group.title[1:], ("option", "what it does"), rows)
    if command.examples:
        yield from ("## Examples", "", "```text", *(f"$ {each}" for each in command.examples), "```", "")
    for section in command.sections:
        rows = [(f"`{name}`" if name else "", _text(text)) for name, text in section.rows]
        yield from _table(section.title[:1].upper() + section.title[1:], ("", ""), rows)


def _spelled(entry: Entry) -> str:
    return f"`{', '.join(entry.names)}{f' {entry.value}' if entry.value else ''}`".replace("|", "\\|")


def _table(title: str, head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from (f"## {title}", "", f"| {head[0]} | {head[1]} |", "|---|---|")
    yield from (f"| {name} | {text} |" for name, text in rows)
    yield ""


def _sentence(text: str) -> str:
    """With a capital letter, and a full stop where it is no question."""
    return text[:1].upper() + text[1:] + ("" if text.endswith("?") else ".")


def _text(text: str) -> str:
    """Words as they are; what Markdown would read as marks is escaped."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))
