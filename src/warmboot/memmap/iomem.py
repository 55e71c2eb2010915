"""/proc/iomem: the physical address space as Linux tells it, nested by two spaces a level."""

from __future__ import annotations

import re
from typing import NamedTuple

from warmboot.errors import InputError
from warmboot.memmap.ranges import Range
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["MOST_LINES", "Resource", "parse_iomem"]

MOST_LINES = 100_000  # of a memory map: the largest machines have some thousand

_PLAIN = re.compile(r"^( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*\S)\s*$", re.MULTILINE)
_LINE = re.compile(r"(?P<indent> *)(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) : (?P<name>.+)")


class Resource(NamedTuple):
    """One line: a range of physical bytes, its name, and how deep it is nested (0 is the top)."""

    range: Range
    name: str
    depth: int


def parse_iomem(text: str) -> list[Resource]:
    """The lines of /proc/iomem, in order.

    Raises InputError where a line is not of that form, where there are too many, or where every address is zero, which
    is how an unprivileged reader sees the file (kernel/resource.c, since Linux 4.6).
    """
    if text.count("\n") > MOST_LINES:
        raise InputError(f"iomem: more than {MOST_LINES:,} lines, which no computer has", hint="read /proc/iomem again")
    resources = _plain(text)
    if resources is None:
        resources = _line_by_line(text)
    if resources and all(each.range == Range(0, 1) for each in resources):
        raise InputError("iomem: every address is zero", hint="read /proc/iomem as root: others see only zeros")
    return resources


def _plain(text: str) -> list[Resource] | None:
    """The same for a text whose lines are all of that form, in a third of the time; None for another."""
    found = _PLAIN.findall(text)
    if len(found) != len(text.splitlines()):
        return None
    try:
        resources = [
            Resource(Range(int(start, 16), int(end, 16) + 1), name, len(indent) // 2)
            for indent, start, end, name in found
        ]
    except ValueError:  # one ends before its start
        return None
    return resources if all(each.start < each.end for each, _, _ in resources) else None


def _line_by_line(text: str) -> list[Resource]:
    resources: list[Resource] = []
    for line_number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise InputError(
                f"iomem, line {line_number}: '{visible(line.strip(), most=60)}' is no 'start-end : name'",
                hint="take the text of /proc/iomem as it is, read as root",
            )
        start, end = (number(match[each], 16) for each in ("start", "end"))
        if start is None or end is None:
            raise InputError(
                f"iomem, line {line_number}: an address of more than 64 bits", hint="read /proc/iomem again"
            )
        if end < start:
            raise InputError(
                f"iomem, line {line_number}: ends at {end:#x}, before its start", hint="read /proc/iomem again"
            )
        resources.append(Resource(Range(start, end + 1), match["name"], len(match["indent"]) // 2))
    return resources
