"""A diagnosis as text, and pages folded to a terminal's width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from warmboot.explain.findings import Diagnosis, Finding, RuleEntry
from warmboot.visible import visible

__all__ = ["diagnosis_lines", "list_lines", "page_lines"]

_HELPS = 3  # lines of help for the first finding


def diagnosis_lines(diagnosis: Diagnosis, width: int) -> Iterator[str]:
    """The best finding in full, the others in a line or two each, and what would decide."""
    first, *others = diagnosis.findings
    yield from _in_full(first, width)
    if others:
        yield ""
        yield "or:"
        for each in others:
            yield from _fold(f"{each.confidence}: {each.title} ({each.rule})", width, "  ")
    if diagnosis.more:
        yield ""
        yield "what would decide:"
        for line in diagnosis.more:
            yield from _fold(line, width, "  ")
    yield ""
    yield from _fold(f"facts: {diagnosis.facts}", width, "")
    yield f"more: warmboot explain {first.rule}"


def _in_full(finding: Finding, width: int) -> Iterator[str]:
    yield from _fold(f"{finding.confidence}: {finding.title} (rule {finding.rule})", width, "")
    if finding.numbers:
        yield from _fold(visible(finding.numbers), width, "  ")
    for each in finding.told:
        yield from _fold(f"from {each}", width, "  ")
    for each in finding.helps[:_HELPS]:
        yield from _fold(f"try: {each}", width, "  ")
    for each in finding.commands[:1]:
        yield f"  to be sure: {each}"


def list_lines(rules: tuple[RuleEntry, ...], width: int) -> Iterator[str]:
    """All rules, by group."""
    group = ""
    for each in sorted(rules, key=lambda one: (one.group, one.rule)):
        if each.group != group:
            if group:
                yield ""
            group = each.group
            yield f"{group}:"
        yield from _fold(f"{each.rule:<26} {each.errno_name or '':<13} {each.title}", width, "  ", 43)


def page_lines(text: str, width: int) -> Iterator[str]:
    """A page without Markdown's marks: commands as they are, paragraphs folded."""
    for block in text.strip().split("\n\n"):
        yield from _block(block, width)
        yield ""


def _block(block: str, width: int) -> Iterator[str]:
    if block.startswith("#"):
        yield from _fold(block.lstrip("# "), width, "")
    elif block.startswith("    "):
        yield from block.split("\n")
    elif block[:3] == "1. ":
        for line in block.replace("\n   ", " ").split("\n"):
            yield from _fold(line, width, "  ", 3)
    else:
        yield from _fold(" ".join(block.split()).replace("`", ""), width, "  ")


def _fold(text: str, width: int, indent: str, hang: int = 2) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + " " * hang, break_on_hyphens=False
    )
