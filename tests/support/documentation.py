"""Consoles in the documentation: commands that are run, and what they are shown to print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Example", "blocks", "consoles", "matches"]

_FIGURE = re.compile(r"0x[0-9a-f]+|\d+(?:[.,]\d+)*")
_DRAWN = re.compile(r"\[[a-z.*]+\]")  # memory, drawn in letters


@dataclass(frozen=True, slots=True)
class Example:
    """A command, and the lines that it is shown to print; a line of "..." stands for any."""

    command: str
    output: tuple[str, ...]


def blocks(text: str, language: str) -> list[str]:
    """What is fenced as that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def consoles(path: Path) -> Iterator[Example]:
    """The examples of a page, in their order."""
    for block in blocks(path.read_text("utf-8"), "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *output = part.splitlines()
            yield Example(command, tuple(output))


def matches(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether that was printed: figures may be others."""
    pattern = ""
    for line in shown:
        pattern += r"(?:.*\n)*?" if line == "..." else re.escape(_masked(line)) + r"\n"
    return re.fullmatch(pattern, "".join(f"{_masked(line)}\n" for line in printed)) is not None


def _masked(line: str) -> str:
    return " ".join(_DRAWN.sub("[#]", _FIGURE.sub("#", line)).split())
