"""A machine's physical memory: one shared, sparse file mapping, which emulators execute without a copy."""

from __future__ import annotations

import ctypes
import mmap
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from warmboot.closing import Closing
from warmboot.errors import RefusedError
from warmboot.files.anonymous import new_file
from warmboot.memmap import Facts, Range, merge
from warmboot.uapi import PAGE_SIZE, Source, page_align

__all__ = ["Bank", "PhysicalMemory"]

_NORESERVE = 0x4000  # MAP_NORESERVE of Linux; mmap has no name for it before Python 3.13
_KEEP_SIZE_PUNCH_HOLE = 0x3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_COPY_CHUNK = 8 << 20  # bytes written by one system call: large enough to be fast, small enough to be interrupted
_IOV_MAX = 1024
_MOST = 16 << 40  # bytes of RAM that have memory behind them, lowest first
_JOINED = 64 << 20  # bytes: over holes up to this, memory goes on in one piece
_SMALL = 64 << 10  # bytes up to which a store through the mapping beats a system call
_ZEROS = memoryview(bytes(_SMALL))


@dataclass(frozen=True)
class Bank:
    """A run of memory that exists: its physical range, and where it begins in the file."""

    range: Range
    offset: int
    view: mmap.mmap

    @property
    def address(self) -> int:
        """Where the bank is mapped in this process, for an emulator; valid as long as the memory is open."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self.view))


class PhysicalMemory(Closing):
    """Physical memory of one or more banks, zero until written; what was never touched costs nothing.

    The banks follow one another in one file without the gaps between them, which is how QEMU lays out the file
    behind a machine's RAM. Addresses are physical bytes. An access outside the banks raises ValueError: it is a
    bug of the caller, as a kernel checks addresses before it uses them.
    """

    def __init__(self, banks: Sequence[Range]) -> None:
        self.fd: int = new_file("warmboot-memory")
        self.banks: list[Bank] = []
        self._starts: list[int] = []
        self._spans: list[tuple[int, int, int, mmap.mmap]] = []  # what banks hold, for quick access
        offset = 0
        try:
            for each in merge(banks):
                os.ftruncate(self.fd, offset + each.size)
                view = mmap.mmap(self.fd, each.size, mmap.MAP_SHARED | _NORESERVE, offset=offset)
                self.banks.append(Bank(each, offset, view))
                self._spans.append((each.start, each.end, offset, view))
                self._starts.append(each.start)
                offset += each.size
        except (OSError, OverflowError) as error:
            self.close()
            raise RefusedError(
                f"{sum(each.size for each in banks)} bytes of memory cannot be mapped: {error}",
                hint="give the machine less memory, or raise this process's address space limit (ulimit -v)",
            ) from None

    @classmethod
    def of(cls, facts: Facts) -> PhysicalMemory:
        """Memory as a machine of these facts has it: from 0 on, and wherever there is RAM.

        Of much RAM only the first part has memory behind it: a process has 128 TiB of addresses, and no image is as
        large. Raises RefusedError where this computer cannot map it.
        """
        banks, left = [Range(0, PAGE_SIZE)], _MOST
        for ram in merge(facts.system_ram):
            start = ram.start // PAGE_SIZE * PAGE_SIZE
            end = min(page_align(ram.end), start + left)
            if start - banks[-1].end <= _JOINED:
                banks[-1] = Range(banks[-1].start, max(end, banks[-1].end))
            elif end > start:
                banks.append(Range(start, end))
            left -= end - start
        return cls(banks)

    def close(self) -> None:
        """Give the memory back. Views handed out before keep their part alive until they are gone."""
        for bank in self.banks:
            try:
                bank.view.close()
            except BufferError:  # somebody still holds a view: the mapping goes with it
                continue
        self.banks, self._spans, self._starts = [], [], []
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @property
    def size(self) -> int:
        """Bytes in all banks."""
        return sum(bank.range.size for bank in self.banks)

    @property
    def touched(self) -> int:
        """Bytes that the file really takes."""
        return os.fstat(self.fd).st_blocks * 512

    def _at(self, address: int, size: int) -> tuple[int, int, mmap.mmap]:
        """Where a run of bytes is: in its bank, in the file, and the bank's mapping. Raises ValueError."""
        number = bisect_right(self._starts, address) - 1
        if number >= 0:
            start, end, offset, view = self._spans[number]
            if address + size <= end:
                return address - start, offset + address - start, view
        raise ValueError(f"no memory at {address:#x}, {size} bytes")

    def has(self, address: int, size: int) -> bool:
        """Whether every byte is in one bank."""
        number = bisect_right(self._starts, address) - 1
        return number >= 0 and address + size <= self._spans[number][1]

    def view(self, address: int, size: int) -> memoryview:
        """The bytes themselves, writable; the caller releases the view before the memory is closed."""
        start, _, view = self._at(address, size)
        return memoryview(view)[start : start + size]

    def read(self, address: int, size: int) -> bytes:
        """A copy of the bytes."""
        return os.pread(self.fd, size, self._at(address, size)[1])

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Store the bytes of `data`; a view has one-byte elements."""
        size = len(data)
        start, offset, view = self._at(address, size)
        if size <= _SMALL:
            view[start : start + size] = data
        else:
            self._write_at(offset, [memoryview(data)])

    def clear(self, address: int, size: int) -> None:
        """Make the bytes zero, and give whole pages among them, where they are many, back to this computer."""
        if not size:
            return
        start, offset, view = self._at(address, size)
        if size <= _SMALL:
            view[start : start + size] = _ZEROS[:size]
        elif not _punch_hole(self.fd, offset, size):
            zeros = memoryview(bytes(min(size, _COPY_CHUNK)))
            for done in range(0, size, _COPY_CHUNK):
                self._write_at(offset + done, [zeros[: size - done]])

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy `size` bytes from address `source` to address `target`; the two ranges have no byte in common."""
        for done in range(0, size, _COPY_CHUNK):
            chunk = min(_COPY_CHUNK, size - done)
            with self.view(source + done, chunk) as data:
                self.write(target + done, data)

    def copy_from(
        self,
        address: int,
        source: Source,
        offset: int,
        size: int,
        zeros: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Store `size` readable bytes of `source` from `offset` on, and `zeros` bytes of zeros behind them.

        `progress` is told of bytes as they are done. Many bytes go to the file, not through the mapping: no page fault,
        and no zeroing of a page that is overwritten whole. For a few, which fill pages that were used before, a system
        call would cost more.
        """
        room = size + zeros
        start, target, view = self._at(address, room)
        if room <= _SMALL:
            for piece in source.pieces(offset, size):
                end = start + len(piece)
                view[start:end] = piece
                start = end
            if zeros:
                view[start : start + zeros] = _ZEROS[:zeros]
            if progress is not None:
                progress(room)
            return
        for done in range(0, size, _COPY_CHUNK):
            chunk = min(_COPY_CHUNK, size - done)
            self._write_at(target + done, list(source.pieces(offset + done, chunk)))
            if progress is not None:
                progress(chunk)
        self.clear(address + size, zeros)
        if progress is not None:
            progress(zeros)

    def _write_at(self, offset: int, pieces: list[memoryview]) -> None:
        while pieces:
            done = os.pwritev(self.fd, pieces[:_IOV_MAX], offset)
            offset += done
            while pieces and done >= pieces[0].nbytes:
                done -= pieces.pop(0).nbytes
            if done:
                pieces[0] = pieces[0][done:]


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    """The C library's fallocate; Python has only the POSIX one, which cannot punch holes."""
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
    found: Callable[[int, int, int, int], int] = function
    return found


def _punch_hole(fd: int, offset: int, size: int) -> bool:
    fallocate = _fallocate()
    return fallocate is not None and fallocate(fd, _KEEP_SIZE_PUNCH_HOLE, offset, size) == 0
