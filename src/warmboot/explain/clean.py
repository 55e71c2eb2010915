"""A paste as lines: without colours, journal and dmesg prefixes, and shell prompts; bounded in number and length."""

from __future__ import annotations

import re
from dataclasses import dataclass

from warmboot.visible import visible

__all__ = ["MOST", "Line", "lines_of"]

MOST = 4 << 20  # characters of a paste that are read
_MOST_LINES = 50_000
_LONGEST = 1000  # characters of a line that are looked at

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_PREFIXES = [
    re.compile(r"(?:> ?)+(?=\S)"),  # a quoted mail
    re.compile(r"(?:[A-Z][a-z]{2} +\d+|\d{4}-\d\d-\d\d[T ]?) ?\d\d:\d\d:\d\d\S* (?:\S+ )?[\w.@-]+(?:\[\d+\])?: "),
    re.compile(r"<\d{1,3}>"),  # a raw log's priority
    re.compile(r"(?:\w+ +)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?"),  # seconds, and who
    re.compile(r"\[[\w .:/+-]{5,40}\] (?=\S)"),  # dmesg -T
    re.compile(r"(?:\[?\w+@[\w.-]+[ :][^\]$#]{0,80}\]?)?[$#] (?=\S)"),  # a prompt
]

_STAMP = re.compile(
    r"[> ]*(?:<\d{1,3}>)?(?:\[ *\d+\.\d+\]|\[[A-Z][a-z]{2} [A-Z][a-z]{2} +\d|\w{3} +\d+ \d\d:\d\d:|\d{4}-\d\d-\d\d)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its number in the paste, from 1, and its text, safe to print.

    `width` is its columns before it was cleaned; `stamped`, whether it began with a time: no rest of a line does.
    """

    number: int
    text: str
    width: int = 0
    stamped: bool = False


def lines_of(text: str) -> tuple[Line, ...]:
    """The lines that say something, at most 50,000, the first half and the last half of longer ones."""
    every = text[:MOST].splitlines()
    numbers = range(len(every))
    kept = numbers if len(every) <= _MOST_LINES else [*numbers[: _MOST_LINES // 2], *numbers[-_MOST_LINES // 2 :]]
    cleaned = (
        Line(at + 1, _clean(every[at]), len(every[at].rstrip()), _STAMP.match(every[at]) is not None) for at in kept
    )
    return tuple(each for each in cleaned if each.text)


def _clean(text: str) -> str:
    text = visible(_ESCAPE.sub("", text[: _LONGEST * 2]).replace("\t", " "))[:_LONGEST].strip()
    for prefix in _PREFIXES:
        match = prefix.match(text)
        if match is not None:
            text = text[match.end() :]
    return text.strip()
