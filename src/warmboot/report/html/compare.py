"""Two reports side by side as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from warmboot.memmap import Range
from warmboot.report.compare.compare import Comparison
from warmboot.report.compare.given import Given
from warmboot.report.html.memory import MemoryPicture, memory_picture
from warmboot.report.html.render import Head, render

__all__ = ["compare_page"]

_MOST = 64  # ranges and segments of a report that are drawn


def compare_page(a: Given, b: Given, found: Comparison, document: Mapping[str, Any]) -> str:
    """The page's text. `document` is what --json prints."""
    return render(
        "compare.html.j2",
        Head("compare", f"{found.a.file} and {found.b.file}", found.verdict, found.exit_status == 0),
        document,
        found=found,
        sections=[(name, list(each)) for name, each in groupby(found.differences, key=lambda each: each.section)],
        pictures=[(name, picture) for name, given in (("A", a), ("B", b)) if (picture := _picture(given)) is not None],
    )


def _picture(given: Given) -> MemoryPicture | None:
    """Memory with its segments, where the report has them; it may be anybody's, so nothing is taken on trust."""
    stages = given.members.get("stages")
    for stage in stages if isinstance(stages, list) else ():
        figures = stage.get("figures") if isinstance(stage, dict) else None
        if not isinstance(figures, dict) or not isinstance(figures.get("segments"), list):
            continue
        ram = [each for each in map(_range, _list(figures.get("ram"))) if each is not None]
        parts: dict[str, list[Range]] = {}
        reserved = [each for each in map(_range, _list(figures.get("crash_kernel"))) if each is not None]
        if reserved:
            parts["crash kernel (reserved)"] = reserved
        for segment in _list(figures["segments"]):
            if not isinstance(segment, dict):
                continue
            mem, memsz = segment.get("mem"), segment.get("memsz")
            where = _range([mem, mem + memsz]) if isinstance(mem, int) and isinstance(memsz, int) else None
            if where is not None:
                parts.setdefault(str(segment.get("name")), []).append(where)
        if ram:
            return memory_picture(ram, parts)
    return None


def _list(value: object) -> list[Any]:
    return value[:_MOST] if isinstance(value, list) else []


def _range(value: object) -> Range | None:
    match value:
        case [int(start), int(end)] if 0 <= start < end <= 1 << 64:
            return Range(start, end)
        case _:
            return None
