"""What is known of a command: the same for ours, which argparse reads, and for the drop-ins, which getopt reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Command", "Entry", "Group", "Section", "Takes", "walk"]


class Takes(Enum):
    """What may stand for a value, beside the words that are known."""

    NOTHING = "nothing"
    FILES = "files"
    FOLDERS = "folders"


@dataclass(frozen=True, slots=True)
class Entry:
    """An option with its spellings, or an operand, which has none; `value` is how its value is called."""

    names: tuple[str, ...]
    value: str
    text: str
    words: tuple[str, ...] = ()
    takes: Takes = Takes.NOTHING
    repeated: bool = False

    @property
    def first_line(self) -> str:
        """What it is, in few words: up to the first semicolon, bracket or end of a sentence."""
        text = " ".join(self.text.split())
        for end in ("; ", " (", ": ", ". "):
            text = text.partition(end)[0]
        return text


@dataclass(frozen=True, slots=True)
class Group:
    """Options under a title; that of the plain ones is "options"."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of a name and what it is; or lines, where no row has a name."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with the words that call it and the commands below it. `part` is its part of the manual, 1 or 8.

    `page` is the name of its page, which for a drop-in is not that of the program: the peer has a page of that name.
    """

    words: tuple[str, ...]
    page: str
    part: int
    summary: str
    usage: tuple[str, ...]
    paragraphs: tuple[str, ...]
    groups: tuple[Group, ...] = ()
    operands: tuple[Entry, ...] = ()
    examples: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    commands: tuple[Command, ...] = ()

    @property
    def name(self) -> str:
        """How it is called."""
        return " ".join(self.words)

    @property
    def options(self) -> tuple[Entry, ...]:
        """Those of all groups."""
        return tuple(each for group in self.groups for each in group.entries)


def walk(commands: Sequence[Command]) -> Iterator[Command]:
    """Each command, and those below it."""
    for each in commands:
        yield each
        yield from walk(each.commands)
