"""Sizes and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.numbers import size_text

__all__ = ["size_text", "table"]


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), width: int = 0) -> list[str]:
    """Rows as lines with columns of even width; the columns numbered in `right` are aligned to the right.

    Columns move together where two spaces between them would make lines longer than `width`; 0 is any length.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    gap = " " if 0 < width < sum(widths) + 2 * (len(widths) - 1) else "  "
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return lines
