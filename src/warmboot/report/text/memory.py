"""A picture of physical memory: a strip of characters for each range of RAM, with letters for what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from warmboot.memmap import Range
from warmboot.report.strips import strips_of
from warmboot.report.text.words import size_text

__all__ = ["memory_picture"]

_FREE, _SEVERAL = ".", "*"


def memory_picture(ram: Sequence[Range], parts: Mapping[str, Sequence[Range]], *, width: int = 60) -> list[str]:
    """Lines that show where `parts` (physical ranges by name) are in `ram`.

    The length of a strip is its share of all RAM, at least one character. Every part is visible: where several
    share a character, it is a star. A part's letter is the first of its name that is not used yet.
    """
    strips = strips_of(ram)
    letters = _letters(parts)
    total = sum(strip.size for strip in strips)
    rows = []
    for strip in strips:
        cells = max(1, width * strip.size // total)
        rows.append((f"{strip.start:#x}", f"[{_cells(strip, cells, parts, letters)}]", size_text(strip.size)))
    wide = max(len(row[0]) for row in rows)
    lines = [f"{start:>{wide}} {cells} {size}" for start, cells, size in rows]
    shown = [f"{letter} {name}" for name, letter in letters.items()]
    if any(_SEVERAL in cells for _, cells, _ in rows):
        shown.append(f"{_SEVERAL} several")
    return [*lines, " " * wide + " " + "   ".join(shown)]


def _letters(parts: Mapping[str, Sequence[Range]]) -> dict[str, str]:
    letters: dict[str, str] = {}
    for name in parts:
        free = (each for each in [*name.lower(), *name.upper(), *"0123456789"] if each.isalnum())
        letters[name] = next((each for each in free if each not in letters.values()), "?")
    return letters


def _cells(strip: Range, count: int, parts: Mapping[str, Sequence[Range]], letters: Mapping[str, str]) -> str:
    cells = [_FREE] * count
    for name, ranges in parts.items():
        touched: set[int] = set()
        for each in ranges:
            if each.overlaps(strip):
                first = max(each.start, strip.start) - strip.start
                last = min(each.end, strip.end) - strip.start - 1
                touched.update(range(first * count // strip.size, last * count // strip.size + 1))
        for cell in touched:
            cells[cell] = letters[name] if cells[cell] == _FREE else _SEVERAL
    return "".join(cells)
