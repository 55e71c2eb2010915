"""A picture of physical memory as the numbers of an SVG: a strip for each range of RAM, and what lies in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warmboot.memmap import Range, merge, subtract
from warmboot.report.html.labels import Label, labels
from warmboot.report.strips import strips_of
from warmboot.report.text.words import size_text

__all__ = ["Block", "Gap", "MemoryPicture", "Part", "Strip", "memory_picture"]

_WIDTH = 1000.0  # units of the SVG, all of its width
_LEAST = 6.0  # units: the least that a block is wide, so that every one is seen
_GAPS = 3  # of the free ranges, the largest are listed
_PATTERNS = 6  # ways to fill a block, by colour and pattern


@dataclass(frozen=True, slots=True)
class Block:
    """A part in a strip: `x` and `width` in units of the SVG; `pattern` says how it is filled, from 0."""

    x: float
    width: float
    pattern: int
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A range of RAM, `width` units of the SVG wide; `title` describes it in words."""

    title: str
    width: float
    blocks: tuple[Block, ...]
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table below the picture."""

    pattern: int
    name: str
    where: str
    size: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A free range of RAM."""

    where: str
    size: str


@dataclass(frozen=True, slots=True)
class MemoryPicture:
    """What is drawn, and the same in words; `free` are the largest free ranges."""

    strips: tuple[Strip, ...]
    parts: tuple[Part, ...]
    free: tuple[Gap, ...]


def memory_picture(ram: Sequence[Range], parts: Mapping[str, Sequence[Range]]) -> MemoryPicture:
    """Draw `parts`, physical ranges by name, in `ram`. The longest strip has all the width, the others their share."""
    strips = strips_of(ram)
    longest = max((each.size for each in strips), default=1)
    rows = sorted(
        ((number % _PATTERNS, name, each) for number, (name, ranges) in enumerate(parts.items()) for each in ranges),
        key=lambda row: row[2].start,
    )
    return MemoryPicture(
        tuple(_strip(each, max(_LEAST * 4, _WIDTH * each.size / longest), rows) for each in strips),
        tuple(Part(pattern, name, _where(each), size_text(each.size)) for pattern, name, each in rows),
        tuple(Gap(_where(each), size_text(each.size)) for each in _free(ram, parts)),
    )


def _strip(strip: Range, width: float, rows: Sequence[tuple[int, str, Range]]) -> Strip:
    blocks, centres = [], []
    for number, (pattern, name, each) in enumerate(rows, 1):
        if not each.overlaps(strip):
            continue
        first, last = max(each.start, strip.start), min(each.end, strip.end)
        wide = max(_LEAST, width * (last - first) / strip.size)
        x = min(width * (first - strip.start) / strip.size, width - wide)
        blocks.append(Block(round(x, 2), round(wide, 2), pattern, f"{name}: {_where(each)}, {size_text(each.size)}"))
        centres.append((x + wide / 2, number))
    blocks.sort(key=lambda each: -each.width)  # what is small is drawn last, and seen
    title = f"RAM {_where(strip)}, {size_text(strip.size)}"
    return Strip(title, round(width, 2), tuple(blocks), tuple(labels(centres, _WIDTH)))


def _free(ram: Sequence[Range], parts: Mapping[str, Sequence[Range]]) -> list[Range]:
    taken = [each for ranges in parts.values() for each in ranges]
    found = sorted(subtract(merge(ram), merge(taken)), key=lambda each: -each.size)[:_GAPS]
    return sorted(found, key=lambda each: each.start)


def _where(each: Range) -> str:
    return f"{each.start:#x}-{each.end - 1:#x}"
