"""Segments' bytes as the system call wants them: addresses in this process, without a copy where there can be none."""

from __future__ import annotations

import mmap
import os

from warmboot.files.anonymous import joined_file, mapped
from warmboot.files.held import Hold, let_go
from warmboot.live.files import read
from warmboot.uapi import SEGMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from warmboot.uapi import Segment

__all__ = ["Buffers"]

_LARGE = 32 << 20  # bytes of a segment that are worth a thread
_MOST_MAPPED = 16 << 20  # bytes of them that may be mapped before they are let go
_LOOK = 0.005  # seconds, in which a kernel copies some 20 MiB


class Buffers:
    """The bytes of `segments`, held where they are until `close`: `addresses` are virtual, 0 for a segment without any.

    A source of several pieces is copied into one run of shared memory; nothing else is copied.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._held: list[Hold] = []
        self._large: list[memoryview] = []
        self._segments = segments
        self.addresses: tuple[int, ...] = ()
        try:
            for each in segments:
                self.addresses += (self._address(each),)
        except BaseException:
            self.close()
            raise

    def table(self) -> bytes:
        """The array of struct kexec_segment."""
        rows = zip(self._segments, self.addresses, strict=True)
        return b"".join(SEGMENT.pack(address, each.bufsz, each.mem, each.memsz) for each, address in rows)

    def while_letting_go(self, call: Callable[[], None]) -> None:
        """Make a call that reads all of the bytes; pages of large mapped files are let go while it does, so that they
        never all count as this process's memory. Raises what the call raises."""
        if not self._large:
            call()
            return
        from threading import Event, Thread  # noqa: PLC0415 - small images do without

        done = Event()

        def sweep() -> None:
            limit = _resident() + _MOST_MAPPED
            while not done.wait(_LOOK):
                if _resident() > limit:
                    for each in self._large:
                        let_go(each)

        sweeper = Thread(target=sweep, daemon=True)
        sweeper.start()
        try:
            call()
        finally:
            done.set()
            sweeper.join()

    def close(self) -> None:
        """Give the bytes back to their owners; the addresses are void from then on."""
        self._large.clear()
        while self._held:
            self._held.pop().release()

    def __enter__(self) -> Buffers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _address(self, segment: Segment) -> int:
        pieces = list(segment.buf.pieces(0, segment.bufsz))
        if sum(each.nbytes for each in pieces) < segment.bufsz:
            raise ValueError(f"segment at {segment.mem:#x}: {segment.bufsz} bytes are asked for, and fewer are there")
        if not segment.bufsz:
            return 0
        data = pieces[0] if len(pieces) == 1 else _in_one_run(pieces, segment.bufsz)
        if data.nbytes >= _LARGE:
            self._large.append(data)
        self._held.append(Hold(data))
        return self._held[-1].address


def _resident() -> int:
    """Bytes that are mapped in this process; 0 where /proc does not tell."""
    try:
        return int(read("/proc/self/statm").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def _in_one_run(pieces: Iterable[memoryview], size: int) -> memoryview:
    """The pieces one after the other, mapped."""
    fd = joined_file(pieces)
    try:
        return mapped(fd, size)
    finally:
        os.close(fd)
