"""`kho=` and `liveupdate=` on a command line: whether KHO and LUO are on."""

from __future__ import annotations

from warmboot import command_line

__all__ = ["is_on", "switched"]


def is_on(text: str) -> bool | None:
    """What kstrtobool (lib/kstrtox.c) makes of a value: None where it is neither yes nor no, and changes nothing."""
    first, second = text[:1].lower(), text[1:2].lower()
    if first in ("y", "t", "1"):
        return True
    if first in ("n", "f", "0"):
        return False
    return {"n": True, "f": False}.get(second) if first == "o" else None


def switched(line: str | None, name: str, default: bool | None) -> bool | None:
    """Whether `name` is on with that command line, where it is `default` without a word; None where nobody knows.

    The last word that can be understood counts, as each is parsed in its turn (early_param).
    """
    if line is None:
        return None
    for value in reversed(command_line.parse(line).all(name)):
        found = is_on(value)
        if found is not None:
            return found
    return default
