"""Facts as a JSON object: each member is checked as it is read, as the object comes from another machine."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from warmboot.errors import InputError
from warmboot.memmap.numa import NumaNode
from warmboot.memmap.ranges import Range
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.memmap.facts import Facts

__all__ = ["json_members", "json_object", "known_members", "members_of"]

_HINT = "write the facts with 'warmboot facts' on the machine, as root"
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1  # what 64 bits hold, with a sign or without
_MARK = "\ufeff"
_SHOWN = 40  # characters of a member that is wrong


def members_of(cls: type[Facts], text: str | bytes, name: str) -> dict[str, Any]:
    """The members of Facts in a JSON object, by name; others are ignored. Raises InputError, naming `name`."""
    return known_members(cls, json_object(text, name), name)


def json_object(text: str | bytes, name: str) -> dict[str, Any]:
    """The JSON object that holds facts, with whatever else it has. Raises InputError, naming `name`."""
    try:
        members: Any = json.loads(_without_mark(text), object_pairs_hook=_once)
        if b"\\u" in text if isinstance(text, bytes) else "\\u" in text:
            json.dumps(members, ensure_ascii=False).encode()  # a lone surrogate is no character
        elif isinstance(text, str):
            text.encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: not JSON: {error}", hint=_HINT) from None
    if isinstance(members, dict):
        members = members.get("facts", members)  # a trace's first line holds them one level down
    if not isinstance(members, dict):
        raise InputError(f"{name}: a JSON {type(members).__name__}, not an object", hint=_HINT)
    return members


def _without_mark(text: str | bytes) -> str | bytes:
    """The text without the byte order mark that some editors put before UTF-8."""
    return text.removeprefix(_MARK.encode()) if isinstance(text, bytes) else text.removeprefix(_MARK)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members. Raises ValueError where one is there twice: readers differ in which of the two they take."""
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the member {visible(twice, most=_SHOWN)} is there twice")
    return members


def known_members(cls: type[Facts], members: dict[str, Any], name: str) -> dict[str, Any]:
    """The members of Facts among those of an object, each checked. Raises InputError, naming `name`."""
    known: dict[str, Any] = {}
    missing = []
    for key, kinds, needed in _fields():
        if key in members:
            value = members[key]
            if type(value).__name__ == kinds[0] and kinds[0] in ("str", "bool"):
                known[key] = value
            else:
                known[key] = _member(value, kinds, f"{name}: {key}")
        elif needed:
            missing.append(key)
    if missing:
        raise InputError(f"{name}: {', '.join(missing)} missing", hint=_HINT)
    return known


@cache
def _fields() -> list[tuple[str, list[str], bool]]:
    """Each member's name, the types that it may have, and whether it has to be there."""
    from warmboot.memmap.facts import Facts  # noqa: PLC0415 - which imports this module

    return [
        (each.name, str(each.type).split(" | "), each.default is each.default_factory)  # both missing: no default
        for each in fields(Facts)
    ]


def json_members(facts: Facts) -> dict[str, Any]:
    """The facts as a JSON object's members; a range is a list of its first byte and the one after its last."""
    members = asdict(facts)
    if facts.numa_nodes is not None:
        members["numa_nodes"] = [
            {"node": each.node, "cpus": each.cpus, "memory": [[part.start, part.end] for part in each.memory]}
            for each in facts.numa_nodes
        ]
    return members


def _member(value: Any, kinds: list[str], what: str) -> Any:  # noqa: ANN401 - a JSON value
    """The value as Facts holds it, if it is of one of `kinds`, which are type annotations."""
    if value is None and "None" in kinds:
        return None
    kind = kinds[0]
    if kind == "Sequence[NumaNode]" and isinstance(value, list):
        return tuple(_node(each, what) for each in value)
    if (
        kind == "Mapping[str, str]"
        and isinstance(value, dict)
        and all(isinstance(each, str) for each in value.values())
    ):
        return value
    if type(value).__name__ != kind or (kind == "int" and not _LEAST <= value <= _MOST):
        raise _wrong(value, what, f"not of type {kind}" if type(value).__name__ != kind else "more than 64 bits")
    return value


def _node(value: Any, what: str) -> NumaNode:  # noqa: ANN401 - a JSON value
    try:
        memory = tuple(Range(_number(start), _number(end)) for start, end in value.get("memory", ()))
        return NumaNode(_number(value["node"]), tuple(_number(each) for each in value["cpus"]), memory)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _wrong(value, what, "no node with its cpus and memory") from None


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError(value)
    return value


def _wrong(value: object, what: str, why: str) -> InputError:
    try:
        shown = json.dumps(value)
    except ValueError:  # a number of more digits than Python prints
        shown = "a number of thousands of digits"
    return InputError(f"{what} is {visible(shown, most=_SHOWN)}, {why}", hint=_HINT)
