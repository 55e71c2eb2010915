"""Numbers from outside, bounded: a guest's answer, a line of /proc, a member of a trace; and sizes for people."""

from __future__ import annotations

__all__ = ["LONGEST", "number", "size_text"]

_UNITS = ("KiB", "MiB", "GiB", "TiB")
LONGEST = 32  # characters: 64 bits need 20 in decimal, 18 in hexadecimal; Python's int() takes any length up to 4,300


def number(text: str, base: int = 10, *, least: int = 0, most: int = (1 << 64) - 1) -> int | None:
    """The number that `text` is, or None where it is none, or none from `least` to `most`.

    ASCII digits only, an optional sign, no underscores, no blanks; with base 16 an optional 0x; with base 0 as C
    reads it: 0x for hexadecimal, 0 for octal.
    """
    if not 0 < len(text) <= LONGEST or not text.isascii() or "_" in text or text != text.strip():
        return None
    if base == 0:
        digits = text.lstrip("+-")
        base = 16 if digits[:2] in ("0x", "0X") else 8 if digits[:1] == "0" and len(digits) > 1 else 10
    try:
        value = int(text, base)
    except ValueError:
        return None
    return value if least <= value <= most else None


def size_text(size: int) -> str:
    """A number of bytes with a unit: 11.1 MiB, 512 MiB, 4 KiB."""
    if size < 1024:
        return f"{size} bytes"
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS):
        amount /= 1024
        unit += 1
    return f"{amount:.0f} {_UNITS[unit - 1]}" if amount == int(amount) else f"{amount:.1f} {_UNITS[unit - 1]}"
