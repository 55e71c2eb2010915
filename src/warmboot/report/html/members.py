"""Figures as rows of words: what the page shows of each stage."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum

from warmboot.crash_figures import NeedFigures
from warmboot.memmap import Range
from warmboot.report.value_text import range_text, scalar_text

__all__ = ["rows"]


def rows(figures: object, leave_out: frozenset[str] = frozenset()) -> list[tuple[str, list[str]]]:
    """The members of a dataclass of figures, by name, each as one line or several; what is empty is left out."""
    if not is_dataclass(figures):
        return []
    found = []
    for each in fields(figures):
        lines = _lines(each.name, getattr(figures, each.name))
        if lines and each.name not in leave_out:
            found.append((each.name.replace("_", " "), lines))
    return found


def _lines(name: str, value: object) -> list[str]:
    match value:
        case None | "" | () | []:
            return []
        case dict():
            return [f"{key}: {', '.join(_lines(str(key), each))}" for key, each in value.items()]
        case list() | tuple():
            return [line for each in value for line in _lines(name, each)]
        case NeedFigures():
            return [f"{key}: {', '.join(lines)}" for key, lines in rows(value)]
        case _:
            return [_line(name, value)]


def _line(name: str, value: object) -> str:
    match value:
        case Range():
            return range_text(value.start, value.end)
        case Enum():
            return str(value.value)
        case _ if is_dataclass(value):
            return ", ".join(f"{key} {'; '.join(lines)}" for key, lines in rows(value))
        case _:
            return scalar_text(name, value)
