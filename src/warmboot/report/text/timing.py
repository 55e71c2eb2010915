"""Where the seconds of a boot went, as a table beside earlier ones."""

from __future__ import annotations

import time

from warmboot.report.text.words import table
from warmboot.timing.figures import BootTime, TimeFigures
from warmboot.visible import visible

__all__ = ["time_lines"]


def time_lines(figures: TimeFigures, width: int = 0) -> list[str]:
    """The table, what is not known, and the longest silences."""
    this, *others = _columns(figures)
    names = list(dict.fromkeys(part.name for boot in (this, *others) for part in boot.parts))
    what = {part.name: part.what for boot in (*others[::-1], this) for part in boot.parts}
    head = ["", *(_title(each) for each in (this, *others)), ""]
    rows = [[visible(name), *(_seconds(each, name) for each in (this, *others)), visible(what[name])] for name in names]
    rows.append(["in all", *(f"{each.seconds:.3f} s" for each in (this, *others)), ""])
    numbers = range(1, len(others) + 2)
    lines = table([head, *rows] if others else rows, right=numbers, width=width) if names else []
    lines += [f"note: {visible(each)}" for each in this.notes]
    if figures.silences:
        lines.append("longest without a line of the kernel:")
        lines += [f"  {each.seconds:.2f} s after [{each.at:.6f}] {visible(each.after)}" for each in figures.silences]
    return lines


def _columns(figures: TimeFigures) -> list[BootTime]:
    return [figures.this, *(each for each in (figures.last, figures.firmware) if each is not None)]


def _title(boot: BootTime) -> str:
    when = time.strftime(" %Y-%m-%d", time.localtime(boot.started)) if boot.started else ""
    return f"{visible(boot.how)}{when}"


def _seconds(boot: BootTime, name: str) -> str:
    found = [each.seconds for each in boot.parts if each.name == name]
    return f"{sum(found):.3f} s" if found else "-"
