"""The last words of a kernel that is gone: its log, where a warm reset has left it in memory that nobody used since.

A kernel that hangs or panics has told its reasons to its own log buffer, if to no console. The reset does not clear
RAM, and what firmware and the next kernel have not used is still there, in /proc/kcore. The log's texts lie in a ring
of blocks, each a number and a text, one number after the other (kernel/printk/printk_ringbuffer.c, Linux 5.10); the
first text is "Linux version ...", by which it is found.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE, PT_LOAD, header, program_headers
from warmboot.live.files import under

__all__ = ["LastWords", "last_words"]

_BANNER = b"Linux version "
_PANIC = b"Kernel panic - not syncing: "
_SOH = b"\x01"  # KERN_SOH: what begins a level
_MOST_BEFORE = 64 << 10  # bytes of a log before a panic
_FEW = 40  # lines after a panic, of which one names the release
_CHUNK = 4 << 20  # bytes read at once
_MOST_SEARCHED = 16 << 30  # a few seconds
_MOST_LOG = 4 << 20  # bytes of a log buffer
_LONGEST = 1024  # bytes of a text: LOG_LINE_MAX
_MOST_LINES = 4000
_FEWEST = 3  # lines that make a log: the banner stands in other places, too
_ID = struct.Struct("<Q")
_ID_BITS = (1 << 62) - 1  # the two others of a descriptor's number are its state
_ALIGN = 8
_MOST_PHYSICAL = 1 << 52


@dataclass(frozen=True, slots=True)
class LastWords:
    """The log of a kernel that is gone, oldest line first; `where` it was found, in words."""

    where: str
    lines: tuple[str, ...]


def last_words(release: str, command_line: str, near: int = 0, root: str = "/") -> LastWords | None:
    """The log of the kernel of this release, unless it is that of the running kernel, whose `command_line` is given.

    `near` is a physical address where it is searched for first. None where there is none any more, or memory cannot be
    read, as under lockdown.
    """
    try:
        fd = os.open(under(root, "proc/kcore"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        runs = sorted(_ram(fd), key=lambda each: (not each[0] <= near < each[0] + each[1], each[0]))
        return _search(lambda at, size: _read(fd, runs, at, size), runs, release, command_line, near)
    finally:
        os.close(fd)


def _search(
    read: Callable[[int, int], bytes], runs: list[tuple[int, int, int]], release: str, command_line: str, near: int
) -> LastWords | None:
    banner = _BANNER + release.encode() + b" ("
    best: LastWords | None = None
    for at, least in _candidates(read, runs, (banner, _PANIC), near):
        found = _from_banner(read, at, banner) or _around_panic(read, at, least, release)
        if found is None or len(found.lines) < _FEWEST:
            continue
        ours = any(each.endswith(command_line) for each in found.lines[:8] if "ommand line: " in each)
        if not (command_line and ours) and (best is None or len(found.lines) > len(best.lines)):
            best = found
    return best


def _from_banner(read: Callable[[int, int], bytes], at: int, banner: bytes) -> LastWords | None:
    """The log from its first line on."""
    data = read(at - _ID.size, _MOST_LOG)
    if not data.startswith(banner, _ID.size):
        return None
    lines = tuple(_log(data))
    return LastWords(f"memory at {at:#x}", lines) if lines and lines[0].endswith(")") else None


def _around_panic(read: Callable[[int, int], bytes], at: int, least: int, release: str) -> LastWords | None:
    """The lines before and after a panic of that release, where the log's beginning is gone; memory begins at
    `least`."""
    first = max(least, at - _ID.size - _MOST_BEFORE) & -_ALIGN
    data = read(first, at - _ID.size - first + _MOST_LOG)
    begin = at - _ID.size - first
    if len(data) < begin + _ID.size:
        return None
    after = list(_log(data[begin:]))
    if not any(f" {release} #" in each for each in after[:_FEW]):
        return None
    number = _ID.unpack_from(data, begin)[0] & _ID_BITS
    while True:
        number = (number - 1) & _ID_BITS
        found = data.rfind(_ID.pack(number), max(0, begin - _LONGEST), begin)
        if found < 0 or (first + found) % _ALIGN:
            break
        begin = found
    return LastWords(f"memory at {first + begin + _ID.size:#x}", tuple(_log(data[begin:])))


def _candidates(
    read: Callable[[int, int], bytes], runs: list[tuple[int, int, int]], needles: tuple[bytes, ...], near: int
) -> Iterator[tuple[int, int]]:
    """Where a text of a log may be one of the needles, at a multiple of 8, and where that memory begins."""
    left, longest = _MOST_SEARCHED, max(map(len, needles))
    for start, size, _ in runs:
        first = max(start, near - _CHUNK) if start <= near < start + size else start
        for begin, end in ((first, start + size), (start, first)):
            for at in range(begin, min(end, begin + left), _CHUNK):
                data = read(at, min(_CHUNK + longest, end - at))
                left -= len(data)
                for needle in needles:
                    found = data.find(needle)
                    while found >= 0:
                        if (at + found) % _ALIGN == 0 and at + found > start:
                            yield at + found, start
                        found = data.find(needle, found + 1)


def _log(data: bytes) -> Iterator[str]:
    """The texts of the blocks from the first one on, while their numbers go on."""
    at, number = 0, _ID.unpack_from(data)[0] & _ID_BITS if len(data) >= _ID.size else 0
    for _ in range(_MOST_LINES):
        end = _next(data, at + _ID.size, _ID.pack((number + 1) & _ID_BITS))
        text = _text(data[at + _ID.size : end if end is not None else at + _ID.size + _LONGEST])
        if text is None:
            return
        if text:  # an empty line ends nothing: Linux 7.2 has one before the panic that it could not mount its root
            yield text
        if end is None:
            return
        at, number = end, (number + 1) & _ID_BITS


def _text(block: bytes) -> str | None:
    """A block's text, None where it is none.

    How long it is stands elsewhere. What follows it is what printk() has left: the line's end, the mark of a line that
    goes on, and where the level was taken away in front, its last two characters once more.
    """
    text = block.partition(b"\0")[0].partition(_SOH)[0].rstrip(b"\n")
    if text[-2:] == text[-4:-2]:
        text = text[:-2]
    try:
        told = text.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return told if all(each.isprintable() or each in "\t\n" for each in told) else None


def _next(data: bytes, at: int, number: bytes) -> int | None:
    """Where the block of that number begins, at a multiple of 8 from the first block on."""
    end = min(len(data), at + _LONGEST + 2 * _ID.size)
    found = data.find(number, at, end)
    while found >= 0 and found % _ALIGN:
        found = data.find(number, found + 1, end)
    return found if found >= 0 else None


def _ram(fd: int) -> Iterator[tuple[int, int, int]]:
    """Of each PT_LOAD of /proc/kcore that is memory: physical address, size in bytes, offset in the file."""
    try:
        ehdr = header(os.pread(fd, EHDR_SIZE, 0))
        table = os.pread(fd, ehdr.phnum * PHDR_SIZE, ehdr.phoff) if ehdr is not None else b""
    except OSError:
        return
    for each in program_headers(table, 64):
        if each.type == PT_LOAD and each.paddr < _MOST_PHYSICAL and each.memsz:
            yield each.paddr, each.memsz, each.offset


def _read(fd: int, runs: list[tuple[int, int, int]], at: int, size: int) -> bytes:
    """Bytes at a physical address, zeros where they cannot be read."""
    for start, length, offset in runs:
        if start <= at < start + length:
            try:
                return os.pread(fd, min(size, start + length - at), offset + at - start)
            except OSError:
                return bytes(min(size, start + length - at))
    return b""
