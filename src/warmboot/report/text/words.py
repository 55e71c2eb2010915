"""Sizes and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["size_text", "table"]

_UNITS = ("KiB", "MiB", "GiB", "TiB")


def size_text(size: int) -> str:
    """A number of bytes with a unit: 11.1 MiB, 512 MiB, 4 KiB."""
    if size < 1024:
        return f"{size} bytes"
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS):
        amount /= 1024
        unit += 1
    return f"{amount:.0f} {_UNITS[unit - 1]}" if amount == int(amount) else f"{amount:.1f} {_UNITS[unit - 1]}"


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
