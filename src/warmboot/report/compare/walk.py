"""Where two values of JSON differ: members by name, elements of lists by what names them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["ABSENT", "Found", "walk"]

_KEYS = ("name", "rule", "cpu", "processor", "mem", "reserved")  # what elements of a list are known by
_DEEPEST = 64


class _Absent:
    """The value of a member that is not there."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


class Found(NamedTuple):
    """A place, by the names on the way to it, and the two values, of which one may be ABSENT."""

    path: tuple[str, ...]
    a: Any
    b: Any


def walk(a: Any, b: Any, path: tuple[str, ...] = ()) -> Iterator[Found]:  # noqa: ANN401 - JSON
    """Every difference, in the order of `a`, what `b` alone has at the end of each object. None of equal values."""
    if type(a) is type(b) and a == b:
        return
    if len(path) < _DEEPEST and isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in [*a, *(each for each in b if each not in a)]:
            yield from walk(a.get(name, ABSENT), b.get(name, ABSENT), (*path, str(name)))
    elif len(path) < _DEEPEST and isinstance(a, list) and isinstance(b, list):
        yield from _lists(a, b, path)
    elif isinstance(a, str) and isinstance(b, str) and ("\n" in a or "\n" in b):
        yield from _lists(a.splitlines(), b.splitlines(), path)
    else:
        yield Found(path, a, b)


def _lists(a: Sequence[Any], b: Sequence[Any], path: tuple[str, ...]) -> Iterator[Found]:
    key = _key(a, b)
    if key is not None:
        yield from walk(_named(a, key), _named(b, key), path)
        return
    left, right = [_frozen(each) for each in a], [_frozen(each) for each in b]
    only_a, only_b = _without(a, left, right), _without(b, right, left)
    if only_a or only_b:
        yield Found(path, only_a, only_b)
    else:
        yield Found((*path, "order"), a, b)


def _key(a: Sequence[Any], b: Sequence[Any]) -> str | None:
    """The member that names the elements, if all have it."""
    elements = [*a, *b]
    if not elements or not all(isinstance(each, Mapping) for each in elements):
        return None
    return next((key for key in _KEYS if all(isinstance(each.get(key), str | int) for each in elements)), None)


def _named(elements: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """By name; a second one of the same name has its number."""
    seen = Counter[str]()
    found = {}
    for each in elements:
        value = each[key]
        name = value if isinstance(value, str) else f"{value:#x}" if key == "mem" else f"{key} {value}"
        seen[name] += 1
        rest = {member: value for member, value in each.items() if member != key or key in ("mem", "reserved")}
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = rest
    return found


def _frozen(value: Any) -> Hashable:  # noqa: ANN401
    return json.dumps(value, sort_keys=True)


def _without(values: Sequence[Any], frozen: Sequence[Hashable], others: Sequence[Hashable]) -> list[Any]:
    """The values that the other list has not, or not as often."""
    left = Counter(others)
    found = []
    for value, each in zip(values, frozen, strict=True):
        if left[each]:
            left[each] -= 1
        else:
            found.append(value)
    return found
