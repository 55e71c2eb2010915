"""`strtoul`: numbers as C reads them from an option."""

from __future__ import annotations

__all__ = ["ULONG_MAX", "strtoul"]

ULONG_MAX = 2**64 - 1
_DIGITS = {digit: value for value, digit in enumerate("0123456789abcdef")}


def strtoul(text: str, base: int = 0) -> tuple[int, str, bool]:
    """The number at the start of `text`, what follows it, and whether it was too large for 64 bits (then ULONG_MAX).

    `base` is 0 (0x means 16, 0 means 8), 10 or 16. A minus sign wraps, as in C. Where there is no number, 0 and `text`.
    """
    rest = text.lstrip(" \t\n\v\f\r")
    negative = rest.startswith("-")
    rest = rest[1:] if rest[:1] in {"+", "-"} else rest
    if base in {0, 16} and rest[:2] in {"0x", "0X"} and _DIGITS.get(rest[2:3].lower()) is not None:
        base, rest = 16, rest[2:]
    elif base == 0:
        base = 8 if rest.startswith("0") else 10
    value = at = 0
    while (digit := _DIGITS.get(rest[at : at + 1].lower(), base)) < base:
        value = value * base + digit
        at += 1
    if at == 0:
        return 0, text, False
    if value > ULONG_MAX:
        return ULONG_MAX, rest[at:], True
    return (-value) % 2**64 if negative else value, rest[at:], False
