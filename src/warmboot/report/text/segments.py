"""A request's segments as a table."""

from __future__ import annotations

from warmboot.figures import PlaceFigures
from warmboot.report.text.words import size_text, table

__all__ = ["segment_lines"]


def segment_lines(figures: PlaceFigures, width: int = 0) -> list[str]:
    """Every segment with its physical addresses and sizes, why it lies there, and where the processor goes."""
    if figures.segments is None or figures.entry is None or figures.kernel_entry is None:
        return ["the running kernel chooses where everything goes"]
    rows = [("segment", "physical address", "memory", "loaded")]
    for each in figures.segments:
        where = f"{each.mem:#011x}-{each.mem + each.memsz - 1:#011x}"
        rows.append((each.name, where, size_text(each.memsz), size_text(each.bufsz)))
    return [
        *table(rows, right=(2, 3), width=width),
        *(f"{each.name}: {each.why}" for each in figures.segments if each.why),
        f"entry {figures.entry:#x} in the purgatory, which enters the kernel at {figures.kernel_entry:#x}",
    ]
