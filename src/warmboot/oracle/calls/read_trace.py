"""Reading traces, JSON Lines, strictly: an error names the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from warmboot.errors import InputError
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_trace import LONGEST_DATA, LiveUpdateCall
from warmboot.oracle.calls.members import WrongLine, hexadecimal, number, one_of, only, shown, text
from warmboot.oracle.calls.read_file_trace import kexec_file_load, live_update_call
from warmboot.oracle.calls.trace import (
    BUFFER_PLACES,
    EDGE_LIMIT,
    TABLE_PLACES,
    TRACE_VERSIONS,
    Answer,
    Buffer,
    CrashSize,
    KexecLoad,
    Operation,
    Row,
    Sysctl,
    TraceSegment,
)
from warmboot.visible import visible

__all__ = ["MOST_OPERATIONS", "read_header", "read_operations", "read_rows", "read_version"]

MOST_OPERATIONS = 100_000  # in a file that is recorded
_MOST_SEGMENTS = 1000  # in one table; the kernel takes 16
_S63 = 1 << 63
_SYSCTL = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", re.IGNORECASE | re.ASCII)
_SHOWN = 40  # characters of a wrong value
_ABIS = ("x86_64", "i386")
_HINT = "the format is in docs/traces.md: one JSON object a line"


def read_header(line: str, name: str) -> Facts:
    """The facts of a trace's first line. Raises InputError."""
    name = visible(name)
    try:
        first = _object(line)
        _version(first)
        if not isinstance(first.get("facts"), dict):
            raise WrongLine('"facts" is missing')
    except WrongLine as wrong:
        raise InputError(f"{name}, line 1: {wrong}", hint='begin with {"trace": 1, "facts": {...}}') from None
    return Facts.from_json(line, f"{name}, line 1")


def read_version(line: str) -> int:
    """The version that a header, which `read_header` took, is of."""
    return _version(_object(line))


def _version(first: dict[str, Any]) -> int:
    version = first.get("trace")
    if not isinstance(version, int) or isinstance(version, bool) or version not in TRACE_VERSIONS:
        raise WrongLine(f'"trace" is {shown(version)}, not {" or ".join(map(str, TRACE_VERSIONS))}')
    return version


def read_rows(
    lines: Iterable[str],
    name: str,
    first: int = 2,
    *,
    contents: Contents | None = None,
    version: int = TRACE_VERSIONS[-1],
) -> Iterator[Row]:
    """The operations in `lines`, the first of which is line `first`; empty lines are skipped. Raises InputError.

    A trace of `version` 1 has the operations of version 1 alone. What the lines keep of files goes to `contents`.
    """
    name = visible(name)
    for place, line in enumerate(lines, first):
        if not line.strip():
            continue
        try:
            members = _object(line)
            if version > 1 and "content" in members and contents is not None:
                contents.read_row(members)
                continue
            operation = _operation(members, version)
            yield Row(place, operation, _answer(members, operation))
        except WrongLine as wrong:
            raise InputError(f"{name}, line {place}: {wrong}", hint=_HINT) from None


def read_operations(lines: Iterable[str], name: str, contents: Contents | None = None) -> list[Row]:
    """A list of operations, or a trace of which only the operations are of interest.

    Raises InputError, also for more than MOST_OPERATIONS.
    """
    texts = iter(lines)
    first = next(texts, "")
    header = '"trace"' in first and _is_object(first)
    if header:
        read_header(first, name)
        rows = read_rows(texts, name, 2, contents=contents, version=read_version(first))
    else:
        rows = read_rows(chain([first], texts), name, 1, contents=contents)
    found = list(islice(rows, MOST_OPERATIONS + 1))
    if len(found) > MOST_OPERATIONS:
        raise InputError(f"{visible(name)}: more than {MOST_OPERATIONS} operations", hint="give them in several files")
    return found


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


_decode = json.JSONDecoder().decode  # as json.loads, with less ado


def _object(line: str) -> dict[str, Any]:
    try:
        found = _decode(line)
        if "\\ud" in line or "\\uD" in line:  # \ud800 to \udfff: two in a row are a character, one alone is none
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise WrongLine("half a character (a lone surrogate)") from None
    except (ValueError, RecursionError) as error:
        raise WrongLine(f"not JSON: {visible(str(error), most=_SHOWN)}") from None
    if not isinstance(found, dict):
        raise WrongLine(f"{shown(found)} is no JSON object")
    return found


_ANSWER = frozenset({"do", "ret", "name", "after"})
_LOAD = _ANSWER | {"abi", "entry", "flags", "nr_segments", "segments", "table", "as"}


def _operation(members: dict[str, Any], version: int) -> Operation:
    do = members.get("do")
    if do == "kexec_load":
        return _kexec_load(members)
    if do == "sysctl":
        only(members, _ANSWER | {"name", "value"})
        return Sysctl(_sysctl_name(members), text(members, "value"))
    if do == "crash_size":
        only(members, _ANSWER | {"value"})
        return CrashSize(text(members, "value"))
    if version > 1 and do == "kexec_file_load":
        return kexec_file_load(members)
    if version > 1 and do == "liveupdate":
        return live_update_call(members)
    more = "kexec_load, kexec_file_load, liveupdate, " if version > 1 else "kexec_load, "
    raise WrongLine(f'"do" is {shown(do)}: it may be {more}sysctl or crash_size')


def _kexec_load(members: dict[str, Any]) -> KexecLoad:
    only(members, _LOAD)
    segments = members.get("segments")
    if not isinstance(segments, list):
        raise WrongLine(f'"segments" is {shown(segments)}, not a list')
    if len(segments) > _MOST_SEGMENTS:
        raise WrongLine(f"{len(segments)} segments are more than {_MOST_SEGMENTS}")
    caller = members.get("as")
    if caller not in (None, "nobody"):
        raise WrongLine(f'"as" is {shown(caller)}: it may be nobody')
    return KexecLoad(
        one_of(members, "abi", _ABIS),
        number(members, "entry"),
        number(members, "flags"),
        number(members, "nr_segments"),
        tuple([_segment(each) for each in segments]),
        one_of(members, "table", TABLE_PLACES) if "table" in members else "mapped",
        caller is not None,
    )


_SEGMENT = frozenset({"buf", "bufsz", "mem", "memsz"})


def _segment(members: object) -> TraceSegment:
    if not isinstance(members, dict):
        raise WrongLine(f"the segment {shown(members)} is no JSON object")
    only(members, _SEGMENT)
    return TraceSegment(
        _buffer(members.get("buf")), number(members, "bufsz"), number(members, "mem"), number(members, "memsz")
    )


_MAPPED = Buffer()


def _buffer(found: object) -> Buffer:
    """`{"at": place}`, or the place alone."""
    if found == {"at": "mapped"}:
        return _MAPPED
    members = {"at": found} if isinstance(found, str) else found
    if not isinstance(members, dict):
        raise WrongLine(f'"buf" is {shown(found)}, not a place')
    place = one_of(members, "at", BUFFER_PLACES)
    if place != "edge":
        only(members, frozenset({"at"}))
        return Buffer(place)
    only(members, frozenset({"at", "size"}))
    size = number(members, "size")
    if size > EDGE_LIMIT:
        raise WrongLine(f"an edge after {size} bytes: at most {EDGE_LIMIT} come before it")
    return Buffer(place, size)


def _answer(members: dict[str, Any], operation: Operation) -> Answer | None:
    if "ret" not in members and "after" not in members:
        return None
    ret, after = members.get("ret"), members.get("after")
    if type(ret) is not int or not -_S63 <= ret < _S63:
        raise WrongLine(f'"ret" is {shown(ret)}, not a number of 64 bits')
    if not isinstance(after, dict):
        raise WrongLine(f'"after" is {shown(after)}, not an object')
    size = text(after, "kexec_crash_size") if isinstance(operation, CrashSize) else None
    out = None
    if isinstance(operation, LiveUpdateCall) and "out" in members:
        out = hexadecimal(members, "out", LONGEST_DATA).hex()
    return Answer(ret, text(after, "kexec_loaded"), text(after, "kexec_crash_loaded"), size, out)


def _sysctl_name(members: Mapping[str, Any]) -> str:
    name = text(members, "name")
    if not _SYSCTL.fullmatch(name):
        raise WrongLine(f'"name" is {shown(name)}, not a sysctl\'s dotted name')
    return name
