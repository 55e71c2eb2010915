"""Which of a kernel's code guests have run, told by QEMU's translator: it translates a piece of code when the processor
first comes to it, so each piece is told once and nothing becomes slower, whatever the number of calls."""

from __future__ import annotations

import mmap
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from warmboot.memmap import Range

__all__ = ["Translated", "asked", "translated"]

# One line of `-d in_asm`: an address, and its bytes where QEMU can disassemble; else they follow by themselves.
_LINE = re.compile(rb"^(?:0x([0-9a-f]{1,16}):((?: +[0-9a-f]{2}(?=\s))*)|OBJD-T: ([0-9a-f]+))", re.MULTILINE)


class Translated:
    """What of `ranges` (virtual addresses of a kernel without KASLR) was come to; it grows as guests end."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self.ranges: Sequence[Range] = tuple(ranges)
        self.pieces: set[tuple[int, int]] = set()  # where each begins and ends
        self.guests: int = 0

    def options(self, log: int) -> list[str]:
        """QEMU's, to write the descriptor `log`."""
        limits = ",".join(f"{each.start:#x}+{each.size:#x}" for each in self.ranges)
        return ["-d", "in_asm", "-D", f"/proc/self/fd/{log}", "-dfilter", limits]

    def read(self, log: int) -> None:
        """Add what a guest that has ended wrote there."""
        self.guests += 1
        if size := os.fstat(log).st_size:
            with mmap.mmap(log, size, prot=mmap.PROT_READ) as text:
                self.add(text)

    def add(self, text: bytes | mmap.mmap) -> None:
        """Add what QEMU wrote."""
        at = 0
        for found in _LINE.finditer(text):
            if found[3] is not None:
                size = len(found[3]) // 2
            else:
                at = int(found[1], 16)
                size = len(found[2].split())
            if size:
                self.pieces.add((at, at + size))
                at += size

    def has(self, addresses: Sequence[int]) -> set[int]:
        """Which of them the guests came to."""
        order = sorted(addresses)
        found = set[int]()
        for start, end in self.pieces:
            for each in order[bisect_right(order, start - 1) :]:
                if each >= end:
                    break
                found.add(each)
        return found


_ASKED: ContextVar[Translated | None] = ContextVar("translated", default=None)


def asked() -> Translated | None:
    """What the guests that are started now have to tell, if anything."""
    return _ASKED.get()


@contextmanager
def translated(told: Translated) -> Iterator[None]:
    """Have each guest that is started inside tell `told` which pieces of code it came to; they run emulated."""
    before = _ASKED.set(told)
    try:
        yield
    finally:
        _ASKED.reset(before)
