"""The stages of a load on this computer as text."""

from __future__ import annotations

from warmboot.figures import LivePlaceFigures, LoadFigures, PlaceFigures
from warmboot.memmap import Range
from warmboot.report.text.memory import memory_picture
from warmboot.report.text.segments import segment_lines
from warmboot.report.text.words import size_text

__all__ = ["live_place_lines", "load_lines", "memory_lines"]

_CELLS = 60  # characters for all RAM
_BESIDE = 24  # columns for an address, brackets and a size


def live_place_lines(figures: LivePlaceFigures, width: int = 0) -> list[str]:
    """The system call, where everything goes, and a picture of memory."""
    return [
        f"by {figures.call}: {figures.why}",
        *segment_lines(figures, width),
        *memory_lines(figures, width),
        *figures.unpacked,
        f"command line: {figures.command_line or '(empty)'}",
        *([] if figures.blackbox is None else [f"black box at {figures.blackbox:#x}{_added(figures)}"]),
        *figures.not_handed_on,
    ]


def _added(figures: LivePlaceFigures) -> str:
    added = figures.command_line_added
    return f"; added to the command line: {added}" if added else ""


def memory_lines(figures: PlaceFigures, width: int = 0) -> list[str]:
    """A picture of memory; none where the kernel chooses what is in it."""
    if figures.segments is None or not figures.ram:
        return []
    parts = {"crash kernel": list(figures.crash_kernel)} if figures.crash_kernel else {}
    parts |= {each.name: [Range(each.mem, each.mem + each.memsz)] for each in figures.segments}
    return memory_picture(figures.ram, parts, width=_cells(width))


def load_lines(figures: LoadFigures) -> list[str]:
    """How much was loaded, and how fast."""
    return [
        f"{size_text(figures.bytes)} for {size_text(figures.memory)} loaded by {figures.call}"
        f" in {figures.seconds:.2f} s"
    ]


def _cells(width: int) -> int:
    return _CELLS if not width else max(8, min(_CELLS, width - _BESIDE))
