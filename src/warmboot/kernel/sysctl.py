"""The texts that are written to kexec's files in /proc/sys and /sys, as Linux reads them."""

from __future__ import annotations

import re

from warmboot.kernel import rules
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["kstrtoul", "proc_dointvec"]

_SPACE = " \t\n\r\v\f"
_INT_MAX = 0x7FFF_FFFF
_LONGEST_INT = 20  # characters, with the sign: one more fills the buffer of proc_get_long, which refuses that
# Both take a number as strtoul does with base 0: 0x begins a hexadecimal one, 0 an octal one.
_NUMBER = r"0[xX][0-9a-fA-F]+|0[0-7]*(?![0-9])|[1-9][0-9]*"
_INT = re.compile(rf"[{_SPACE}]*(?P<sign>-?)(?P<number>{_NUMBER})(?:[{_SPACE}\0].*)?", re.DOTALL)
_ULONG = re.compile(rf"\+?(?P<number>{_NUMBER})\n?")


def proc_dointvec(text: str) -> int | None:
    """The first int of a text written to a sysctl, or None where there is none. Raises KexecError: EINVAL."""
    if not text.strip(_SPACE):
        return None
    match = _INT.fullmatch(text)
    value = _value(match["number"]) if match and len(match["sign"] + match["number"]) <= _LONGEST_INT else None
    if match is None or value is None or value > _INT_MAX + bool(match["sign"]):
        raise rules.SYSCTL_VALUE.refuse(f"'{visible(text, most=40)}' is no int")
    return -value if match["sign"] else value


def kstrtoul(text: str) -> int:
    """The unsigned long of a text written to a file in /sys. Raises KexecError: EINVAL."""
    match = _ULONG.fullmatch(text)
    if match is None:
        raise rules.CRASH_SIZE_TEXT.refuse(f"'{visible(text, most=40)}' is no unsigned number")
    value = _value(match["number"])
    if value is None:
        raise rules.CRASH_SIZE_TEXT.refuse(f"{visible(match['number'], most=40)} has more than 64 bits")
    return value


def _value(digits: str) -> int | None:
    """The number, however many zeros it begins with; None where it has more than 64 bits."""
    prefix = digits[:2] if digits[:2] in ("0x", "0X") else "0" if digits[0] == "0" else ""
    return number(prefix + (digits[len(prefix) :].lstrip("0") or "0"), 0)
