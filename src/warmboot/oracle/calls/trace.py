"""Traces: recorded kexec calls as JSON Lines, read strictly; an error names the line."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple, TypeAlias

from warmboot.errors import InputError
from warmboot.memmap import Facts
from warmboot.visible import visible

__all__ = [
    "BUFFER_PLACES",
    "EDGE_LIMIT",
    "MAPPED_LIMIT",
    "MOST_OPERATIONS",
    "TABLE_PLACES",
    "Answer",
    "Buffer",
    "CrashSize",
    "KexecLoad",
    "Operation",
    "Row",
    "Sysctl",
    "TraceSegment",
    "errno_name",
    "format_header",
    "format_row",
    "read_header",
    "read_operations",
    "read_rows",
    "rows_with_answers",
]

TRACE_VERSION = 1
BUFFER_PLACES = ("mapped", "edge", "null", "unmapped", "kernel")
TABLE_PLACES = ("mapped", "null", "unmapped", "kernel", "edge")
MAPPED_LIMIT = 64 << 20  # bytes behind a "mapped" buffer
EDGE_LIMIT = 4 << 20  # bytes before the fault of an "edge" buffer
MOST_OPERATIONS = 100_000  # in a file that is recorded
_MOST_SEGMENTS = 1000  # in one table; the kernel takes 16
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_S63 = 1 << 63
_SYSCTL = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE | re.ASCII)
_SHOWN = 40  # characters of a wrong value
_ABIS = ("x86_64", "i386")
_HINT = "the format is in docs/traces.md: one JSON object a line"


class Buffer(NamedTuple):
    """Where a segment's source lies; `size` is what can be read before an edge, in bytes."""

    at: str = "mapped"
    size: int = 0


class TraceSegment(NamedTuple):
    """One segment as it is written: unsigned 64-bit numbers."""

    buf: Buffer
    bufsz: int
    mem: int
    memsz: int


class KexecLoad(NamedTuple):
    """One call of kexec_load; `nr_segments` may differ from the number of `segments`."""

    abi: str
    entry: int
    flags: int
    nr_segments: int
    segments: tuple[TraceSegment, ...]
    table: str = "mapped"
    nobody: bool = False  # played by a process without capabilities


class Sysctl(NamedTuple):
    """`value` written to the sysctl with that dotted name."""

    name: str
    value: str


class CrashSize(NamedTuple):
    """`value` written to the file that shrinks the crash reservation."""

    value: str


Operation: TypeAlias = KexecLoad | Sysctl | CrashSize


class Answer(NamedTuple):
    """What the kernel answered: the raw return value, and the state after the call as sysfs shows it."""

    ret: int
    kexec_loaded: str
    kexec_crash_loaded: str
    kexec_crash_size: str | None = None  # after a crash_size only


class Row(NamedTuple):
    """One line of a trace: an operation, with its answer where it was recorded."""

    line: int  # counted from 1
    operation: Operation
    answer: Answer | None


class _Wrong(Exception):  # noqa: N818
    """What is wrong with a line, told without its number."""


# ---------------------------------------------------------------- reading


def read_header(text: str, name: str) -> Facts:
    """The facts of a trace's first line. Raises InputError."""
    name = visible(name)
    try:
        first = _object(text)
        version = first.get("trace")
        if version != TRACE_VERSION or isinstance(version, bool):
            raise _Wrong(f'"trace" is {_shown(version)}, not {TRACE_VERSION}')
        if not isinstance(first.get("facts"), dict):
            raise _Wrong('"facts" is missing')
    except _Wrong as wrong:
        raise InputError(f"{name}, line 1: {wrong}", hint='begin with {"trace": 1, "facts": {...}}') from None
    return Facts.from_json(text, f"{name}, line 1")


def read_rows(lines: Iterable[str], name: str, first: int = 2) -> Iterator[Row]:
    """The operations in `lines`, the first of which is line `first`; empty lines are skipped. Raises InputError."""
    name = visible(name)
    for number, text in enumerate(lines, first):
        if not text.strip():
            continue
        try:
            members = _object(text)
            operation = _operation(members)
            yield Row(number, operation, _answer(members, operation))
        except _Wrong as wrong:
            raise InputError(f"{name}, line {number}: {wrong}", hint=_HINT) from None


def read_operations(lines: Iterable[str], name: str) -> list[Row]:
    """A list of operations, or a trace of which only the operations are of interest.

    Raises InputError, also for more than MOST_OPERATIONS.
    """
    texts = iter(lines)
    first = next(texts, "")
    header = '"trace"' in first and _is_object(first)
    if header:
        read_header(first, name)
    rows = read_rows(texts, name, 2) if header else read_rows(chain([first], texts), name, 1)
    found = list(islice(rows, MOST_OPERATIONS + 1))
    if len(found) > MOST_OPERATIONS:
        raise InputError(f"{visible(name)}: more than {MOST_OPERATIONS} operations", hint="give them in several files")
    return found


def rows_with_answers(operations: Iterable[Operation], answers: Iterable[Answer]) -> list[Row]:
    """A trace's rows, of as many operations as were answered."""
    return [Row(number, *both) for number, both in enumerate(zip(operations, answers, strict=False), 2)]


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


_decode = json.JSONDecoder().decode  # as json.loads, with less ado


def _object(text: str) -> dict[str, Any]:
    try:
        found = _decode(text)
        if "\\ud" in text or "\\uD" in text:  # \ud800 to \udfff: two in a row are a character, one alone is none
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Wrong("half a character (a lone surrogate)") from None
    except (ValueError, RecursionError) as error:
        raise _Wrong(f"not JSON: {visible(str(error), most=_SHOWN)}") from None
    if not isinstance(found, dict):
        raise _Wrong(f"{_shown(found)} is no JSON object")
    return found


_ANSWER = frozenset({"do", "ret", "name", "after"})
_LOAD = _ANSWER | {"abi", "entry", "flags", "nr_segments", "segments", "table", "as"}


def _operation(members: dict[str, Any]) -> Operation:
    do = members.get("do")
    if do == "kexec_load":
        return _kexec_load(members)
    if do == "sysctl":
        _only(members, _ANSWER | {"name", "value"})
        return Sysctl(_sysctl_name(members), _text(members, "value"))
    if do == "crash_size":
        _only(members, _ANSWER | {"value"})
        return CrashSize(_text(members, "value"))
    raise _Wrong(f'"do" is {_shown(do)}: it may be kexec_load, sysctl or crash_size')


def _kexec_load(members: dict[str, Any]) -> KexecLoad:
    _only(members, _LOAD)
    segments = members.get("segments")
    if not isinstance(segments, list):
        raise _Wrong(f'"segments" is {_shown(segments)}, not a list')
    if len(segments) > _MOST_SEGMENTS:
        raise _Wrong(f"{len(segments)} segments are more than {_MOST_SEGMENTS}")
    caller = members.get("as")
    if caller not in (None, "nobody"):
        raise _Wrong(f'"as" is {_shown(caller)}: it may be nobody')
    return KexecLoad(
        _one_of(members, "abi", _ABIS),
        _number(members, "entry"),
        _number(members, "flags"),
        _number(members, "nr_segments"),
        tuple([_segment(each) for each in segments]),
        _one_of(members, "table", TABLE_PLACES) if "table" in members else "mapped",
        caller is not None,
    )


_SEGMENT = frozenset({"buf", "bufsz", "mem", "memsz"})


def _segment(members: object) -> TraceSegment:
    if not isinstance(members, dict):
        raise _Wrong(f"the segment {_shown(members)} is no JSON object")
    _only(members, _SEGMENT)
    return TraceSegment(
        _buffer(members.get("buf")), _number(members, "bufsz"), _number(members, "mem"), _number(members, "memsz")
    )


_MAPPED = Buffer()


def _buffer(found: object) -> Buffer:
    """`{"at": place}`, or the place alone."""
    if found == {"at": "mapped"}:
        return _MAPPED
    members = {"at": found} if isinstance(found, str) else found
    if not isinstance(members, dict):
        raise _Wrong(f'"buf" is {_shown(found)}, not a place')
    place = _one_of(members, "at", BUFFER_PLACES)
    if place != "edge":
        _only(members, frozenset({"at"}))
        return Buffer(place)
    _only(members, frozenset({"at", "size"}))
    size = _number(members, "size")
    if size > EDGE_LIMIT:
        raise _Wrong(f"an edge after {size} bytes: at most {EDGE_LIMIT} come before it")
    return Buffer(place, size)


def _answer(members: dict[str, Any], operation: Operation) -> Answer | None:
    if "ret" not in members and "after" not in members:
        return None
    ret, after = members.get("ret"), members.get("after")
    if type(ret) is not int or not -_S63 <= ret < _S63:
        raise _Wrong(f'"ret" is {_shown(ret)}, not a number of 64 bits')
    if not isinstance(after, dict):
        raise _Wrong(f'"after" is {_shown(after)}, not an object')
    size = _text(after, "kexec_crash_size") if isinstance(operation, CrashSize) else None
    return Answer(ret, _text(after, "kexec_loaded"), _text(after, "kexec_crash_loaded"), size)


def _only(members: Mapping[str, object], known: frozenset[str]) -> None:
    if not known.issuperset(members):
        raise _Wrong(f"unknown member {_shown(min(members.keys() - known))}")


def _number(members: Mapping[str, Any], name: str) -> int:
    value = members.get(name)
    if type(value) is not int or not 0 <= value <= _U64:
        raise _Wrong(f'"{name}" is {_shown(value)}, not an unsigned 64-bit number')
    return value


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise _Wrong(f'"{name}" is {_shown(value)}, not a text')
    return value


def _one_of(members: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = members.get(name)
    if not isinstance(value, str) or value not in known:
        raise _Wrong(f'"{name}" is {_shown(value)}: it may be {", ".join(known)}')
    return value


def _sysctl_name(members: Mapping[str, Any]) -> str:
    name = _text(members, "name")
    if not _SYSCTL.fullmatch(name):
        raise _Wrong(f'"name" is {_shown(name)}, not a sysctl\'s dotted name')
    return name


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return visible(json.dumps(value), most=_SHOWN)


# ---------------------------------------------------------------- writing


def format_header(facts: Facts) -> str:
    """A trace's first line."""
    return json.dumps({"trace": TRACE_VERSION, "facts": facts.members()})


def format_row(operation: Operation, answer: Answer | None = None) -> str:
    """One line: the operation, and its answer where there is one."""
    members: dict[str, Any]
    if isinstance(operation, KexecLoad):
        members = {"do": "kexec_load", **operation._asdict()}
        members["segments"] = [_segment_members(each) for each in operation.segments]
        del members["nobody"]
        if operation.table == "mapped":
            del members["table"]
        if operation.nobody:
            members["as"] = "nobody"
    elif isinstance(operation, Sysctl):
        members = {"do": "sysctl", **operation._asdict()}
    else:
        members = {"do": "crash_size", **operation._asdict()}
    if answer is not None:
        members["ret"] = answer.ret
        # A sysctl's line has a `name` already: there the errno's name stays away.
        members.setdefault("name", errno_name(answer.ret))
        after = {"kexec_loaded": answer.kexec_loaded, "kexec_crash_loaded": answer.kexec_crash_loaded}
        if answer.kexec_crash_size is not None:
            after["kexec_crash_size"] = answer.kexec_crash_size
        members["after"] = after
    return json.dumps(members)


def _segment_members(segment: TraceSegment) -> dict[str, Any]:
    place = {"at": segment.buf.at, "size": segment.buf.size} if segment.buf.at == "edge" else {"at": segment.buf.at}
    return {"buf": place, "bufsz": segment.bufsz, "mem": segment.mem, "memsz": segment.memsz}


def errno_name(ret: int) -> str:
    """The errno's name of a raw return value, OK for 0, or the number where it is no errno."""
    return "OK" if ret == 0 else errno.errorcode.get(-ret, str(ret))
