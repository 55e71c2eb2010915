"""VMCOREINFO in memory itself: for dumps whose headers have none, or that have no headers at all.

The kernel keeps the text twice: in a page of its own and in the note that it makes of it when it crashes. The memory
may have that of other kernels too: of the one that captures, of one before. What is taken is a text by which the
kernel's own name is found in memory, with the time of a crash before one without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from warmboot.dump import arch
from warmboot.dump.interface import DumpError
from warmboot.dump.vmcoreinfo import Vmcoreinfo, parse_vmcoreinfo
from warmboot.errors import WarmbootError

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.memmap.range_set import RangeSet

__all__ = ["found_in", "search_vmcoreinfo"]

# What can be read of so many bytes from a physical address on: (address, bytes), lowest first.
Pieces: TypeAlias = "Callable[[int, int], Iterator[tuple[int, bytes]]]"

_START = b"OSRELEASE="
_MOST_TEXT = 4096  # bytes: VMCOREINFO_BYTES is a page
_CHUNK = 4 << 20  # bytes
_PAGE = 4096
_MOST_MISSED = 1 << 16  # pages that cannot be read, of which each is tried
_FEWEST_LINES = 8
_UTSNAME_RELEASE = 130  # struct new_utsname: after sysname and nodename


def search_vmcoreinfo(
    machine: str, ranges: RangeSet, physical: Callable[[int, int], bytes], pieces: Pieces | None = None
) -> Vmcoreinfo:
    """The text that describes the kernel whose memory this is; empty where none is found.

    `pieces` gives what can be read of a range, where that is quicker than to try each page with `physical`.
    """
    others = list[Vmcoreinfo]()
    for at, text in found_in(ranges, pieces or _Reader(physical).readable):
        info = replace(text, found_at=at)
        if describes(machine, info, physical):
            if "CRASHTIME" in info.lines:
                return info
            others.insert(0, info)
        elif len(others) < 64:
            others.append(info)
    return others[0] if others else Vmcoreinfo({})


def found_in(ranges: RangeSet, pieces: Pieces) -> Iterator[tuple[int, Vmcoreinfo]]:
    """Every text with the physical address at which it is, lowest first; what cannot be read is passed over."""
    for run in ranges.runs():
        before = b""
        for at in range(run.start, run.stop, _CHUNK):
            for where, data in pieces(at, min(_CHUNK, run.stop - at)):
                joined = before + data if where == at else data
                base = where + len(data) - len(joined)
                last = where + len(data) == run.stop
                yield from _texts(base, joined, run.stop if last else where + len(data) - _MOST_TEXT)
                before = joined[-_MOST_TEXT:] if where + len(data) == at + _CHUNK else b""


def _texts(base: int, data: bytes, before: int) -> Iterator[tuple[int, Vmcoreinfo]]:
    """The texts that begin before an address: what begins after is found with the next piece."""
    at = data.find(_START)
    while at >= 0 and base + at < before:
        info = parse_vmcoreinfo(data[at : at + _MOST_TEXT])
        if len(info.lines) >= _FEWEST_LINES and info.page_size and "%" not in info.release:
            yield base + at, info
        at = data.find(_START, at + 1)


class _Reader:
    """Memory of which some cannot be read: page by page there, until too much was missing."""

    def __init__(self, physical: Callable[[int, int], bytes]) -> None:
        self._physical, self._missed = physical, 0

    def readable(self, at: int, size: int) -> Iterator[tuple[int, bytes]]:
        """The bytes, in one piece; page by page where some cannot be read."""
        try:
            yield at, self._physical(at, size)
            return
        except DumpError:
            if self._missed >= _MOST_MISSED:
                return
        begun, parts = at, list[bytes]()
        for page in range(at, at + size, _PAGE):
            try:
                parts.append(self._physical(page, min(_PAGE, at + size - page)))
            except DumpError:
                if parts:
                    yield begun, b"".join(parts)
                begun, parts = page + _PAGE, []
                self._missed += 1
        if parts:
            yield begun, b"".join(parts)


def describes(machine: str, info: Vmcoreinfo, physical: Callable[[int, int], bytes]) -> bool:
    """Whether the kernel's own name is where the text says."""
    address, offset = info.symbol("init_uts_ns"), info.offset("uts_namespace.name")
    if address is None or not info.release:
        return False
    for at in (offset,) if offset is not None else (4, 0):  # as in `utsname`
        try:
            found = arch.of(machine).translate(physical, info, address + at + _UTSNAME_RELEASE)
            if found is not None and physical(found[0], len(info.release)) == info.release.encode():
                return True
        except WarmbootError:
            continue
    return False
