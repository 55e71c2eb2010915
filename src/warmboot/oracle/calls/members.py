"""Members of a trace's JSON objects, read strictly: what is wrong is told without the line's number, which the reader
of lines adds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from warmboot.visible import visible

__all__ = ["WrongLine", "hexadecimal", "number", "one_of", "only", "shown", "text"]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_SHOWN = 40  # characters of a wrong value


class WrongLine(Exception):  # noqa: N818
    """What is wrong with a line, told without its number."""


def only(members: Mapping[str, object], known: frozenset[str]) -> None:
    """Refuse members that are not known. Raises WrongLine, as all here do."""
    if not known.issuperset(members):
        raise WrongLine(f"unknown member {shown(min(members.keys() - known))}")


def number(members: Mapping[str, Any], name: str, *, least: int = 0, most: int = _U64) -> int:
    """A whole number, of 64 bits without a sign unless limits are given."""
    value = members.get(name)
    if type(value) is not int or not least <= value <= most:
        wanted = "an unsigned 64-bit number" if (least, most) == (0, _U64) else f"a number from {least} to {most}"
        raise WrongLine(f'"{name}" is {shown(value)}, not {wanted}')
    return value


def text(members: Mapping[str, Any], name: str) -> str:
    """A text."""
    value = members.get(name)
    if not isinstance(value, str):
        raise WrongLine(f'"{name}" is {shown(value)}, not a text')
    return value


def hexadecimal(members: Mapping[str, Any], name: str, most: int) -> bytes:
    """At most `most` bytes, two digits each."""
    value = text(members, name)
    if len(value) > 2 * most:
        raise WrongLine(f'"{name}" has more than {most} bytes')
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise WrongLine(f'"{name}" is {shown(value)}, not hexadecimal') from None


def one_of(members: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    """One of these texts."""
    value = members.get(name)
    if not isinstance(value, str) or value not in known:
        raise WrongLine(f'"{name}" is {shown(value)}: it may be {", ".join(known)}')
    return value


def shown(value: object) -> str:
    """A value for a person, short."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return visible(json.dumps(value), most=_SHOWN)
