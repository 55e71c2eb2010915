"""Traces: recorded kexec calls, one operation a row, each with the kernel's answer; docs/traces.md has the format."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from warmboot.oracle.calls.file_trace import KexecFileLoad, LiveUpdateCall

__all__ = [
    "BUFFER_PLACES",
    "EDGE_LIMIT",
    "MAPPED_LIMIT",
    "TABLE_PLACES",
    "TRACE_VERSIONS",
    "Answer",
    "Buffer",
    "CrashSize",
    "KexecLoad",
    "Operation",
    "Row",
    "Sysctl",
    "TraceSegment",
    "errno_name",
    "rows_with_answers",
    "version_of",
]

TRACE_VERSIONS = (1, 2)  # the second has the operations of file_trace besides
BUFFER_PLACES = ("mapped", "edge", "null", "unmapped", "kernel")
TABLE_PLACES = ("mapped", "null", "unmapped", "kernel", "edge")
MAPPED_LIMIT = 64 << 20  # bytes behind a "mapped" buffer
EDGE_LIMIT = 4 << 20  # bytes before the fault of an "edge" buffer


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


Operation: TypeAlias = KexecLoad | Sysctl | CrashSize | KexecFileLoad | LiveUpdateCall


class Answer(NamedTuple):
    """What the kernel answered: the raw return value, and the state after the call as sysfs shows it."""

    ret: int
    kexec_loaded: str
    kexec_crash_loaded: str
    kexec_crash_size: str | None = None  # after a crash_size only
    out: str | None = None  # what a call of a live update wrote, in hexadecimal


class Row(NamedTuple):
    """One line of a trace: an operation, with its answer where it was recorded."""

    line: int  # counted from 1
    operation: Operation
    answer: Answer | None


def rows_with_answers(operations: Iterable[Operation], answers: Iterable[Answer]) -> list[Row]:
    """A trace's rows, of as many operations as were answered."""
    return [Row(number, *both) for number, both in enumerate(zip(operations, answers, strict=False), 2)]


def version_of(operations: Iterable[Operation]) -> int:
    """The version of a trace that can hold these."""
    return 2 if any(isinstance(each, KexecFileLoad | LiveUpdateCall) for each in operations) else 1


def errno_name(ret: int) -> str:
    """The errno's name of a raw return value, OK for 0, or the number where it is no errno."""
    return "OK" if ret == 0 else errno.errorcode.get(-ret, str(ret))
