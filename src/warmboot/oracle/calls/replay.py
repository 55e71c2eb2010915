"""Replaying: recorded operations played on the model, and compared with what the real kernel answered."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from warmboot.closing import Closing
from warmboot.kernel import Caller, Kernel, KexecError, PhysicalMemory, Profile
from warmboot.kernel.kexec import compat_kexec_load, kexec_load
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_player import FilePlayer
from warmboot.oracle.calls.file_trace import KexecFileLoad, LiveUpdateCall
from warmboot.oracle.calls.trace import (
    MAPPED_LIMIT,
    Answer,
    Buffer,
    CrashSize,
    KexecLoad,
    Operation,
    Row,
    Sysctl,
    TraceSegment,
)
from warmboot.uapi import (
    COMPAT_SEGMENT,
    SEGMENT,
    Readable,
    Segment,
    SegmentTable,
    Source,
    Unreadable,
)

__all__ = ["Disagreement", "Player", "replay"]

_ROOT = Caller()
_NOBODY = Caller(cap_sys_boot=False)
_EDGE_REST = 8  # bytes of a table at the edge that cannot be read


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A call that the model answers otherwise; `error` is its reason, if it refused."""

    row: Row
    model: Answer
    error: KexecError | None


class Player(Closing):
    """The model of the machine that `facts` describe, playing operations one after another. A context manager.

    `sources` are what lies behind each kind of buffer, `contents` what calls refer to by SHA-256.
    """

    def __init__(self, facts: Facts, profile: Profile | None = None, contents: Contents | None = None) -> None:
        self._contents = Contents() if contents is None else contents
        self._memory = PhysicalMemory.of(facts)
        self._zeros = mmap.mmap(-1, MAPPED_LIMIT, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.sources: dict[Buffer, Source] = {
            Buffer("mapped"): Readable.of(memoryview(self._zeros)),
            **{Buffer(at): Unreadable() for at in ("null", "unmapped", "kernel")},
        }
        try:
            self.kernel: Kernel = Kernel(facts, self._memory, profile=profile)
        except BaseException:
            self._memory.close()
            raise
        self.error: KexecError | None = None  # why the model refused the last operation

    def close(self) -> None:
        """Give the memory back to this computer."""
        self._memory.close()

    def play(self, operation: Operation) -> Answer:
        """One operation; its answer is what Linux would give."""
        self.error = None
        size = out = None
        ret = 0
        try:
            if isinstance(operation, KexecLoad):
                self._load(operation)
            elif isinstance(operation, Sysctl):
                self.kernel.store_sysctl(operation.name, operation.value)
            elif isinstance(operation, KexecFileLoad):
                self._files.load(operation)
            elif isinstance(operation, LiveUpdateCall):
                ret, out = self._files.live(operation)
            else:
                self.kernel.store_crash_size(operation.value)
        except KexecError as error:
            self.error = error
            ret = -error.errno
        if isinstance(operation, CrashSize):
            size = self._crash_size()
        return self.answer(ret, size, out)

    def answer(self, ret: int, size: str | None = None, out: str | None = None) -> Answer:
        """A return value, and the state as it is now."""
        kernel = self.kernel
        return Answer(
            ret,
            "0" if kernel.kexec_image is None else "1",
            "0" if kernel.kexec_crash_image is None else "1",
            size,
            out,
        )

    @cached_property
    def _files(self) -> FilePlayer:
        return FilePlayer(self.kernel, self._contents)

    def _crash_size(self) -> str:
        try:
            return str(self.kernel.read_crash_size())
        except KexecError as error:
            return error.errno_name

    def _load(self, call: KexecLoad) -> None:
        table = self._table(call)
        enter = compat_kexec_load if call.abi == "i386" else kexec_load
        enter(self.kernel, call.entry, call.nr_segments, table, call.flags, _NOBODY if call.nobody else _ROOT)

    def _table(self, call: KexecLoad) -> SegmentTable:
        readable = None
        if call.table == "edge":
            each = COMPAT_SEGMENT.size if call.abi == "i386" else SEGMENT.size
            readable = max(0, each * len(call.segments) - _EDGE_REST)
        elif call.table != "mapped":
            readable = 0
        return SegmentTable([self._segment(each) for each in call.segments], readable)

    def _segment(self, segment: TraceSegment) -> Segment:
        buf, bufsz, mem, memsz = segment
        source = self.sources.get(buf)
        if source is None:
            source = self.sources[buf] = Readable.of(memoryview(self._zeros)[: buf.size])
        return Segment(source, bufsz, mem, memsz)


def replay(player: Player, rows: Iterable[Row]) -> Iterator[Disagreement | None]:
    """Play every row; None where the model agrees. A row without an answer is played and gives nothing."""
    for row in rows:
        answer = player.play(row.operation)
        if row.answer is not None:
            agrees = agree(row.operation, row.answer, answer)
            yield None if agrees else Disagreement(row, answer, player.error)


def agree(operation: Operation, recorded: Answer, answer: Answer) -> bool:
    """Whether two answers are the same.

    A write that took its text returns how many bytes it took: a recorder may write that, or 0.
    """
    if recorded == answer:
        return True
    if not isinstance(operation, Sysctl | CrashSize) or recorded.ret <= 0:
        return False
    return recorded.ret == len(operation.value.encode()) and recorded._replace(ret=0) == answer
