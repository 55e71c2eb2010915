"""Figures as words, by their names: addresses in hexadecimal, sizes with a unit."""

from __future__ import annotations

from warmboot.numbers import size_text

__all__ = ["is_seconds", "range_text", "scalar_text"]

_SIZES = {
    *("bytes", "memory", "size", "memsz", "bufsz", "init_size", "kernel_alignment", "in_dump", "ram"),
    *("reserved", "kernel", "packed", "unpacked", "page_tables", "slab", "others", "user_peak", "peak"),  # of a capture
    *("smallest", "step", "margin"),
}
_ADDRESSES = ("mem", "entry", "address", "params", "_offset")  # how their names end


def is_seconds(name: str) -> bool:
    """Whether a figure of that name is a time that passed."""
    return name == "seconds" or name.endswith("_seconds")


def range_text(start: int, end: int) -> str:
    """A range of addresses, its end excluded, and its size."""
    return f"{start:#x}-{end - 1:#x}, {_size(end - start)}"


def _size(size: int) -> str:
    """A size with a unit; what no machine has, as it may be in anybody's report, with its digits."""
    return size_text(size) if size <= 1 << 65 else f"{size} bytes"


def scalar_text(name: str, value: object) -> str:
    """A number, a truth or a text."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith(_ADDRESSES):
            return f"{value:#x}"
        case int() if (name in _SIZES or name.endswith("_bytes")) and value >= 0:
            return _size(value)
        case float() if is_seconds(name):
            return f"{value:.2f} s"
        case _:
            return str(value)
