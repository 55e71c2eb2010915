"""Two reports side by side, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from warmboot.report.compare.compare import Comparison, Difference

__all__ = ["comparison_lines"]

_CONSOLE = 60  # lines


def comparison_lines(found: Comparison) -> Iterator[str]:
    """The two files with their verdicts, each section's differences, the console's, and what differs each time."""
    for name, each in (("A", found.a), ("B", found.b)):
        yield f"{name}  {each.file}: {each.command}{f': {each.verdict}' if each.verdict else ''}"
    yield from _sections(found.differences)
    if found.left_out:
        yield f"  and {found.left_out:,} more"
    if found.console:
        yield "console"
        yield from (f"  {line}" for line in found.console[:_CONSOLE])
        if len(found.console) > _CONSOLE:
            yield f"  and {len(found.console) - _CONSOLE:,} lines more: --html has them"
    if found.each_time:
        yield "different each time"
        yield from (f"  {each.section}: {_line(each)}" for each in found.each_time)
    yield found.verdict


def _sections(differences: Sequence[Difference]) -> Iterator[str]:
    for section, members in groupby(differences, key=lambda each: each.section):
        yield section
        yield from (f"  {_line(each)}" for each in members)


def _line(each: Difference) -> str:
    if each.a is None:
        return f"{each.what}: in B alone: {each.b}"
    if each.b is None:
        return f"{each.what}: in A alone: {each.a}"
    return f"{each.what}: {each.a} -> {each.b}"
