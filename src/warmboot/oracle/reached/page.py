"""The page about it, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from warmboot.oracle.reached.blocks import Block
from warmboot.oracle.reached.measure import Measured
from warmboot.oracle.reached.reasons import Kind

__all__ = ["page", "table"]


def table(measured: Measured) -> Iterator[str]:
    """A line for each file, and one for all."""
    yield "| file | basic blocks | reached | only by fault injection, or never | of those reachable |"
    yield "|---|---|---|---|---|"
    for file in measured.files:
        yield _row(f"`{file}`", measured, file)
    yield _row("all", measured, *measured.files)


def page(introduction: str, release: str, measured: Measured, played: str) -> str:
    """The whole page."""
    lines = [introduction.rstrip("\n"), "", f"## Linux {release}", "", played, "", *table(measured), ""]
    for kind in Kind:
        rows = measured.by_reason(kind)
        if not rows:
            continue
        blocks = sum(len(each) for _, each in rows)
        lines += [
            f"### {kind.heading}",
            "",
            f"{blocks} {'block' if blocks == 1 else 'blocks'}.",
            "",
            "| condition | where |",
            "|---|---|",
        ]
        lines += [f"| {reason.condition} | {'; '.join(_places(each))} |" for reason, each in rows]
        lines.append("")
    return "\n".join(lines)


def _row(name: str, measured: Measured, *files: str) -> str:
    count = measured.count(*files)
    return f"| {name} | {count.blocks} | {count.reached} | {count.excused} | {count.rate:.1%} |"


def _places(blocks: list[Block]) -> Iterator[str]:
    """Functions with the lines where their blocks begin, file by file."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in blocks:
        lines = found.setdefault((each.place.file.rpartition("/")[2], each.place.function), [])
        if each.place.line not in lines:
            lines.append(each.place.line)
    for (file, function), lines in found.items():
        yield f"`{function}` ({file}:{', '.join(map(str, lines))})"
