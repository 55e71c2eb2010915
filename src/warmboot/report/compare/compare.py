"""Two reports side by side: what differs, and what differs between any two runs alike."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from warmboot.errors import ExitStatus, InputError
from warmboot.report.compare.given import Given
from warmboot.report.compare.prepare import comparable
from warmboot.report.compare.walk import ABSENT, Found, walk
from warmboot.report.value_text import is_seconds, range_text, scalar_text

__all__ = ["Comparison", "Difference", "ReportAnswer", "compare"]

_MOST = 2000  # differences, and lines of the console's
_VALUES = 12  # of a list that are shown
_COUNTED = 10_000  # of a list that are looked at
_DEEPEST = 16  # values in values
_LENGTH = 300  # characters of a value
_TIMESTAMP = re.compile(r"^\[ *\d+\.\d+\] ?")
_SECONDS = re.compile(r"\d+(?:\.\d+)? s\b")
_RANGES = {"ram", "crash_kernel", "reserved", "ranges"}


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """One of the two: its file, the command that made it, its verdict."""

    file: str
    command: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` differs in a `section`, which is a stage where there are stages; `a` and `b` are words, null is absent."""

    section: str
    what: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs; `each_time` is what does between any two runs: times, and what has a random seed in it.

    `console` are lines that begin with "-" (in a alone), "+" (in b alone) or " ", times left out; null where a report
    has none. It is no difference by itself: no two boots say the same. `left_out` differences are not listed.
    """

    a: ReportAnswer
    b: ReportAnswer
    differences: tuple[Difference, ...]
    each_time: tuple[Difference, ...]
    console: tuple[str, ...] | None
    left_out: int
    verdict: str
    exit_status: int


def compare(a: Given, b: Given) -> Comparison:
    """Compare two reports. Raises InputError for those of different kinds."""
    if a.schema != b.schema and not ("stages" in a.members and "stages" in b.members):
        raise InputError(
            f"{a.file} is of {a.schema}, {b.file} of {b.schema}: there is nothing to compare",
            hint="give two reports of the same command",
        )
    differences, each_time = list[Difference](), list[Difference]()
    left_out = 0
    for found, is_expected in _all(a, b):
        kept = each_time if is_expected else differences
        if len(kept) < _MOST:
            kept.append(_difference(found))
        else:
            left_out += not is_expected
    console = None if a.console is None or b.console is None else _console(a.console, b.console)
    count = len(differences) + left_out
    verdict = f"{count:,} difference{'s' if count > 1 else ''}" if count else "the same, but for what differs each time"
    if console:
        verdict += "; the consoles differ, as those of any two boots do"
    return Comparison(
        _answer(a),
        _answer(b),
        tuple(differences),
        tuple(each_time),
        console,
        left_out,
        verdict,
        ExitStatus.REFUSED if count else ExitStatus.DONE,
    )


def _answer(given: Given) -> ReportAnswer:
    verdict = given.members.get("verdict")
    return ReportAnswer(given.file, given.schema.replace("-", " "), verdict if isinstance(verdict, str) else "")


def _all(a: Given, b: Given) -> Iterator[tuple[Found, bool]]:
    """The differences, and whether each is one that any two runs have."""
    before, after = comparable(a.members), comparable(b.members)
    ended = {
        found.path[:2] for found in walk(before, after) if found.path[0] == "stages" and found.path[2:] == ("outcome",)
    }
    for found in walk(before, after):
        # A stage that went further in one of them has more figures there, which says nothing new.
        if ABSENT in (found.a, found.b) and len(found.path) > 2 and found.path[:2] in ended:
            continue
        yield found, is_seconds(found.path[-1]) or _is_time_alone(found)
    if a.facts is not None and b.facts is not None:
        for found in walk({"facts": a.facts}, {"facts": b.facts}):
            yield found, False


def _is_time_alone(found: Found) -> bool:
    if not isinstance(found.a, str) or not isinstance(found.b, str):
        return False
    return _SECONDS.sub("", found.a) == _SECONDS.sub("", found.b)


def _difference(found: Found) -> Difference:
    section, *names = [each for each in found.path if each not in ("stages", "figures")] or found.path
    if found.path[0] == "stages" and not names:
        return Difference(section, "reached", _reached(found.a), _reached(found.b))
    if not names:
        section, names = "report", [section]
    what = " ".join(each.replace("_", " ") for each in names)
    name = "address" if "registers" in found.path else found.path[-1]
    a, b = _words(name, found.a), _words(name, found.b)
    if a == b and isinstance(found.a, int) and isinstance(found.b, int):
        a, b = f"{found.a:,}", f"{found.b:,}"
    if a == b and isinstance(found.a, str) and isinstance(found.b, str):  # they differ where they were cut
        at = max(
            0, next(i for i, (x, y) in enumerate(zip(f"{found.a}\0", f"{found.b}\0", strict=False)) if x != y) - 20
        )
        a, b = _cut(f"...{found.a[at:]}"), _cut(f"...{found.b[at:]}")
    return Difference(section, what, a, b)


def _reached(stage: Any) -> str:  # noqa: ANN401 - JSON
    return str(stage.get("outcome")) if isinstance(stage, dict) else "not reached"


def _words(name: str, value: Any, depth: int = 0) -> str | None:  # noqa: ANN401
    if value is ABSENT:
        return None
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, list):
        if name in _RANGES and len(value) == 2 and all(isinstance(each, int) for each in value) and value[0] < value[1]:
            return range_text(*value)
        return _cut("; ".join(_listed(name, value, depth))) or "none"
    if isinstance(value, dict):
        words = [
            f"{key.replace('_', ' ')} {_words(key, each, depth + 1)}" for key, each in islice(value.items(), _VALUES)
        ]
        more = [f"and {len(value) - _VALUES:,} more"] if len(value) > _VALUES else []
        return _cut(", ".join([*words, *more])) or "none"
    return _cut(scalar_text(name, value)) or "(empty)"


def _listed(name: str, values: Sequence[Any], depth: int) -> Iterator[str]:
    """The first of them, equal ones once with how often they are there."""
    counted = Counter(_words(name, each, depth + 1) or "" for each in values[:_COUNTED])
    shown = list(counted.items())[:_VALUES]
    for each, count in shown:
        if each:
            yield each if count == 1 else f"{each} ({count:,} times)"
    left = len(values) - sum(count for _, count in shown)
    if left:
        yield f"and {left:,} more"


def _cut(text: str) -> str:
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}..."


def _console(a: Sequence[str], b: Sequence[str]) -> tuple[str, ...]:
    """The lines that differ, with two around them, without the seconds that Linux writes before each."""
    before, after = ([_TIMESTAMP.sub("", line) for line in lines] for lines in (a, b))
    lines = list(difflib.unified_diff(before, after, n=2, lineterm=""))[2:]
    shown = [line if not line.startswith("@@") else " ..." for line in lines]
    if len(shown) > _MOST:
        return (*shown[:_MOST], f" ... and {len(shown) - _MOST} more lines")
    return tuple(shown)
