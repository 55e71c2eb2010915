"""Whether a dump is sound, and how two differ, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.report.text.words import size_text, table

if TYPE_CHECKING:
    from warmboot.dump.check import DumpCheck
    from warmboot.dump.diff import DumpDiff

__all__ = ["check_lines", "diff_lines"]

_WORDS = {"differs": "differs", "only_a": "only in A", "only_b": "only in B", "unreadable": "cannot be read"}


def check_lines(check: DumpCheck) -> Iterator[str]:
    """The answer of `warmboot dump check`."""
    yield f"{check.format}, with {size_text(check.memory)} of memory"
    for each in check.findings:
        yield f"{each.part:11}{each.soundness.value:9}{each.what}"
    if check.sound:
        yield "whole and sound"
        return
    works, fails = (", ".join(each) or "none" for each in (check.works, check.fails))
    yield f"not sound; what works: {works}; what does not: {fails}"


def diff_lines(diff: DumpDiff, *, most: int) -> Iterator[str]:
    """The answer of `warmboot dump diff`, with at most so many ranges."""
    if not diff.same_kernel:
        yield "note: what the two kernels say of themselves differs"
    size = diff.page_size
    counts = (diff.equal, diff.differs, diff.only_a, diff.only_b, diff.unreadable)
    words = ("equal", *_WORDS.values())
    yield ", ".join(f"{count} {word}" for count, word in zip(counts, words, strict=True)) + f" (pages of {size} bytes)"
    if diff.kinds:
        rows = [("PAGES", "", "", "KIND")]
        rows += [
            (str(each.pages), size_text(each.pages * size), _WORDS[each.difference], each.kind) for each in diff.kinds
        ]
        yield from table(rows, right=(0, 1))
    if diff.ranges and most:
        rows = [("ADDRESS", "PAGES", "", "KIND")]
        rows += [
            (f"{each.start:#x}", str(each.pages), _WORDS[each.difference], each.kind) for each in diff.ranges[:most]
        ]
        yield from table(rows, right=(1,))
    left = max(0, len(diff.ranges) - most) + diff.more
    if left:
        yield f"and {left} more ranges: --all, or --json"
