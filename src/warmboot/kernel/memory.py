"""A machine's physical memory: one shared, sparse file mapping, which emulators execute without a copy."""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from warmboot.errors import RefusedError
from warmboot.memmap import Range, merge
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, Source

__all__ = ["Bank", "Frames", "PhysicalMemory"]

Frames = npt.NDArray[np.int64]  # frame numbers: physical addresses in units of PAGE_SIZE

_NORESERVE = 0x4000  # MAP_NORESERVE of Linux; mmap has no name for it before Python 3.13
_KEEP_SIZE_PUNCH_HOLE = 0x3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_COPY_CHUNK = 8 << 20  # bytes written by one system call: large enough to be fast, small enough to be interrupted
_IOV_MAX = 1024


@dataclass(frozen=True)
class Bank:
    """A run of memory that exists: its physical range, and where it begins in the file."""

    range: Range
    offset: int
    view: mmap.mmap

    @property
    def address(self) -> int:
        """Where the bank is mapped in this process, for an emulator; valid as long as the memory is open."""
        return np.frombuffer(self.view, dtype=np.uint8, count=1).ctypes.data


class PhysicalMemory:
    """Physical memory of one or more banks, zero until written; what was never touched costs nothing.

    The banks follow one another in one file without the gaps between them, which is how QEMU lays out the file
    behind a machine's RAM. Addresses are physical bytes. An access outside the banks raises ValueError: it is a
    bug of the caller, as a kernel checks addresses before it uses them.
    """

    def __init__(self, banks: Sequence[Range]) -> None:
        self.fd = _anonymous_file()
        self.banks: list[Bank] = []
        offset = 0
        try:
            for each in merge(banks):
                os.ftruncate(self.fd, offset + each.size)
                view = mmap.mmap(self.fd, each.size, mmap.MAP_SHARED | _NORESERVE, offset=offset)
                self.banks.append(Bank(each, offset, view))
                offset += each.size
        except (OSError, OverflowError) as error:
            self.close()
            raise RefusedError(
                f"{sum(each.size for each in banks)} bytes of memory cannot be mapped: {error}",
                hint="give the machine less memory, or raise this process's address space limit (ulimit -v)",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back. Views handed out before keep their part alive until they are gone."""
        for bank in self.banks:
            try:
                bank.view.close()
            except BufferError:  # somebody still holds a view: the mapping goes with it
                continue
        self.banks = []
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

    def _bank(self, address: int, size: int) -> Bank:
        for bank in self.banks:
            if bank.range.start <= address and address + size <= bank.range.end:
                return bank
        raise ValueError(f"no memory at {address:#x}, {size} bytes")

    def has(self, address: int, size: int) -> bool:
        """Whether every byte is in one bank."""
        return any(bank.range.start <= address and address + size <= bank.range.end for bank in self.banks)

    def view(self, address: int, size: int) -> memoryview:
        """The bytes themselves, writable; the caller releases the view before the memory is closed."""
        bank = self._bank(address, size)
        start = address - bank.range.start
        return memoryview(bank.view)[start : start + size]

    def read(self, address: int, size: int) -> bytes:
        """A copy of the bytes."""
        bank = self._bank(address, size)
        return os.pread(self.fd, size, bank.offset + address - bank.range.start)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Store the bytes of `data`."""
        source = memoryview(data).cast("B")
        bank = self._bank(address, source.nbytes)
        self._write_at(bank.offset + address - bank.range.start, [source])

    def write_words(self, address: int, words: npt.NDArray[np.uint64]) -> None:
        """Store 64-bit little-endian words, such as page table or page list entries."""
        self.write(address, words.astype("<u8", copy=False).tobytes())

    def clear(self, address: int, size: int) -> None:
        """Make the bytes zero, and give whole pages among them back to this computer."""
        if not size:
            return
        bank = self._bank(address, size)
        offset = bank.offset + address - bank.range.start
        if not _punch_hole(self.fd, offset, size):
            zeros = memoryview(bytes(min(size, _COPY_CHUNK)))
            for done in range(0, size, _COPY_CHUNK):
                self._write_at(offset + done, [zeros[: size - done]])

    def copy_from(
        self, address: int, source: Source, offset: int, size: int, progress: Callable[[int], None] | None = None
    ) -> None:
        """Store `size` readable bytes of `source` from `offset` on; `progress` is told of bytes as they are done.

        The bytes go to the file, not through the mapping: no page fault, and no zeroing of a page that is
        overwritten whole.
        """
        bank = self._bank(address, size)
        target = bank.offset + address - bank.range.start
        for done in range(0, size, _COPY_CHUNK):
            chunk = min(_COPY_CHUNK, size - done)
            self._write_at(target + done, list(source.pieces(offset + done, chunk)))
            if progress is not None:
                progress(chunk)

    def copy_pages_from(self, frames: Frames, source: Source, offset: int, size: int) -> None:
        """Store `size` readable bytes of `source` in `frames`, a page in each; the last one may be part of a page."""
        for first, count in _runs(frames):
            start = first * PAGE_SIZE
            done = count[0] * PAGE_SIZE
            length = min((count[1] - count[0]) * PAGE_SIZE, size - done)
            if length <= 0:
                return
            self.copy_from(start, source, offset + done, length)

    def clear_pages(self, frames: Frames) -> None:
        """Make every byte of `frames` zero."""
        for first, (begin, end) in _runs(frames):
            self.clear(first * PAGE_SIZE, (end - begin) * PAGE_SIZE)

    def copy_pages(self, targets: Frames, sources: Frames) -> None:
        """Copy each frame of `sources` to the frame of `targets` at its place; no target is a source."""
        for bank, mine in self._by_bank(targets << PAGE_SHIFT):
            for other, its in self._by_bank(sources << PAGE_SHIFT):
                both = mine & its
                to = np.frombuffer(bank.view, dtype=np.uint8).reshape(-1, PAGE_SIZE)
                of = np.frombuffer(other.view, dtype=np.uint8).reshape(-1, PAGE_SIZE)
                to[targets[both] - (bank.range.start >> PAGE_SHIFT)] = of[
                    sources[both] - (other.range.start >> PAGE_SHIFT)
                ]

    def scatter_words(self, addresses: npt.NDArray[np.int64], words: npt.NDArray[np.int64]) -> None:
        """Store 64-bit little-endian words at addresses that are multiples of 8."""
        for bank, mine in self._by_bank(addresses):
            view = np.frombuffer(bank.view, dtype="<i8")
            view[(addresses[mine] - bank.range.start) >> 3] = words[mine]

    def _by_bank(self, addresses: npt.NDArray[np.int64]) -> Iterator[tuple[Bank, npt.NDArray[np.bool_]]]:
        """Each bank, and which of `addresses` are in it."""
        for bank in self.banks:
            mine = (addresses >= bank.range.start) & (addresses < bank.range.end)
            if mine.any():
                yield bank, mine

    def _write_at(self, offset: int, pieces: list[memoryview]) -> None:
        while pieces:
            done = os.pwritev(self.fd, pieces[:_IOV_MAX], offset)
            offset += done
            while pieces and done >= pieces[0].nbytes:
                done -= pieces.pop(0).nbytes
            if done:
                pieces[0] = pieces[0][done:]


def _runs(frames: Frames) -> Iterator[tuple[int, tuple[int, int]]]:
    """Consecutive frames: each run's first frame, and the positions in `frames` where it begins and ends."""
    if not len(frames):
        return
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    begins: Iterable[int] = [0, *breaks.tolist()]
    ends: Iterable[int] = [*breaks.tolist(), len(frames)]
    for begin, end in zip(begins, ends, strict=True):
        yield int(frames[begin]), (begin, end)


def _anonymous_file() -> int:
    """A file without a name, which is gone with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("warmboot-memory", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


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
