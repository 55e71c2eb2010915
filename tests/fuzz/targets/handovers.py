"""Handovers in memory, as strangers write it: a good one with words overwritten, and device trees."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from support.handovers import Handover, handover
from warmboot.errors import WarmbootError
from warmboot.handover.extract import find_memfd
from warmboot.handover.fdt import parse_fdt
from warmboot.handover.look import Given, look
from warmboot.memmap.range_set import RangeSet
from warmboot.report.text.handover import handover_lines
from warmboot.visible import visible

__all__ = ["fdt", "preserved"]

_PAGE = 4096
_RECORD = 12  # bytes of an input for each word: 2 the page, 2 the offset, 8 the word
_VERSIONS = ((4, 5, 2), (1, 1, 1), (3, 4, 2))


@cache
def _made(number: int) -> tuple[Handover, list[int]]:
    """A handover, and the pages of its structures."""
    made = handover(*_VERSIONS[number])
    return made, sorted({*made.nodes, *made.pages[0]})


class _Patched:
    """Its memory with words of the input over it; only pages of structures are looked through."""

    def __init__(self, made: Handover, pages: list[int], words: dict[int, bytes]) -> None:
        self._made, self._words = made, words
        self.ranges = made.memory.ranges
        self.filled = RangeSet((each, each + _PAGE) for each in pages)

    def physical(self, address: int, size: int) -> bytes:
        """As PhysicalMemory says."""
        size_of_all = len(self._made.memory.data)
        if not 0 <= address <= address + size <= size_of_all:
            raise WarmbootError(f"{address:#x} is no memory", hint="none")
        data = bytearray(self._made.memory.data[address : address + size])
        for at, word in self._words.items():
            if address <= at < address + size:
                data[at - address : at - address + len(word)] = word[: address + size - at]
        return bytes(data)


def preserved(data: bytes) -> None:
    """The first byte is the version; then words that are written over structures."""
    if not data:
        return
    made, pages = _made(data[0] % len(_VERSIONS))
    words = {}
    for at in range(1, min(len(data), 1 + 64 * _RECORD), _RECORD):
        record = data[at : at + _RECORD].ljust(_RECORD, b"\0")
        page = pages[int.from_bytes(record[:2], "little") % len(pages)]
        words[page + int.from_bytes(record[2:4], "little") % _PAGE] = record[4:]
    memory = _Patched(made, pages, words)
    try:
        found = look(memory, Given("input", "memory", kernel=lambda: None))
    except WarmbootError:
        return
    for line in handover_lines(found.answer):
        assert "\n" not in visible(line)
    for _, reader in found.readers:
        for address in list(reader.files.memfds)[:4] if reader.files else ():
            _, memfd = find_memfd(found, f"{address:#x}")
            with suppress(WarmbootError):
                for number, piece in enumerate(memfd.pieces(memory)):
                    assert piece.size > 0
                    if number > 1000:
                        break


def fdt(data: bytes) -> None:
    """Any bytes behind the magic."""
    with suppress(WarmbootError):
        for path, node in parse_fdt(b"\xd0\x0d\xfe\xed" + data).root.walk():
            assert path
            assert isinstance(node.compatible, str)
