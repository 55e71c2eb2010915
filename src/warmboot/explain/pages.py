"""The pages, one for each rule: a title, what you see, why, what helps in order, and how to be sure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["NAMES", "SECTIONS", "Page", "page"]

SECTIONS = ("What you see", "Why", "What helps", "How to be sure")
_STEP = re.compile(r"^\d+\. (.*(?:\n   .*)*)", re.MULTILINE)
_COMMAND = re.compile(r"^    (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its Markdown and the parts of it that findings repeat."""

    name: str
    text: str

    @property
    def title(self) -> str:
        """One sentence: what went wrong."""
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def helps(self) -> tuple[str, ...]:
        """What helps, the first thing to try first."""
        return tuple(" ".join(each.split()) for each in _STEP.findall(self.section("What helps")))

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that tell whether it is this rule."""
        return tuple(_COMMAND.findall(self.section("How to be sure")))

    def section(self, name: str) -> str:
        """The text under a heading; empty where there is none."""
        _, _, after = self.text.partition(f"\n## {name}\n")
        return after.partition("\n## ")[0].strip("\n")


_FOLDER = Path(__file__).with_name("pages")
NAMES = tuple(sorted(each.name.removesuffix(".md") for each in _FOLDER.iterdir() if each.name.endswith(".md")))


@cache
def page(name: str) -> Page:
    """The page of a rule, one of NAMES."""
    return Page(name, (_FOLDER / f"{name}.md").read_text("utf-8"))
