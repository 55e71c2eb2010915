"""Reading kdump-compressed dumps of one file, in every codec and header version from 1 on, incomplete ones too."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from warmboot.dump import arch
from warmboot.dump.flat_file import FlatFile
from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_bitmaps import Bitmaps
from warmboot.dump.kdump_header import DESCRIPTOR, HEADER, SIGNATURE, SUB_HEADER, Status, sub_header
from warmboot.dump.mapped_file import MappedFile
from warmboot.dump.page_decoders import PageDecoder
from warmboot.dump.page_runs import PageRuns
from warmboot.dump.source import Mapped, vmcoreinfo_of
from warmboot.dump.translated import read_virtual
from warmboot.dump.vmcoreinfo import Vmcoreinfo, parse_vmcoreinfo
from warmboot.dump.vmcoreinfo_search import search_vmcoreinfo
from warmboot.formats.ident import MACHINES
from warmboot.memmap.range_set import RangeSet
from warmboot.visible import visible

__all__ = ["KdumpCore", "is_kdump"]

_PAGES = 1024  # that are kept unpacked
_AT_ONCE = 1024  # pages
_NONE = (-1, 0, 0)  # no descriptor: that of a page that did not arrive is all zeros
_MOST_NOTES = 16 << 20  # bytes
_BLOCKS = (4096, 8192, 16384, 32768, 65536)
_MOST_FRAMES = 1 << 33  # 32 TiB of pages of 4 KiB
_HINT = "give the dump whole; what it has can be read"


def is_kdump(start: bytes) -> bool:
    """Whether a file begins as such a dump does."""
    return start.startswith(SIGNATURE)


class KdumpCore:
    """Memory as such a file has it. `ranges` are the pages in the dump, `left_out` those that are not, `cut_off` those
    whose descriptors would be beyond the end of the file; `problems` say what is wrong with its headers."""

    def __init__(self, path: Path, flat: FlatFile | None = None) -> None:
        """`flat` is the file where it is flattened. Raises DumpError where the file is none, or damaged."""
        self._name = visible(str(path))
        self._file: FlatFile | MappedFile = MappedFile(path) if flat is None else flat
        start = bytes(self._part(0, HEADER.size))
        if not is_kdump(start):
            raise self._wrong(0, "a header that begins 'KDUMP   '")
        _, version, names, *_, status, block, sub, bitmap_blocks, frames, _, _, _, _, _ = HEADER.unpack(start)
        if block not in _BLOCKS or not 1 <= sub <= 4096 or not 1 <= version <= 6:
            raise self._wrong(8, "a header version from 1 to 6 and sizes that can be")
        self.status: int = int(status)
        self.machine: str = names[4 * 65 :][:65].partition(b"\0")[0].decode("ascii", "replace")
        self.page_size: int = int(block)
        self.version: int = int(version)
        self.problems: list[str] = list(self._early())
        fields = sub_header(self._part(block, SUB_HEADER.size), version)
        self.part: range | None = fields.part  # of a split dump: the frames of this file
        self._bitmaps(bitmap_blocks, sub, int(frames) if fields.max_mapnr is None else fields.max_mapnr)
        self.notes: bytes = self._bounded("notes", fields.notes)
        self._text = self._bounded("VMCOREINFO", fields.vmcoreinfo)
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self.unpacked: PageDecoder = PageDecoder(self.page_size)

    @cached_property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """As Memory says; where the headers have none it is searched for in memory."""
        noted = parse_vmcoreinfo(self._text) if self._text else vmcoreinfo_of(self.notes)
        return noted if noted.lines else search_vmcoreinfo(self.machine, self.ranges, self.physical, self._pieces)

    def physical(self, address: int, size: int) -> bytes:
        """As Memory says."""
        parts = []
        while size:
            frame, within = divmod(address, self.page_size)
            count = min((within + size) // self.page_size, _AT_ONCE)
            part = self._pages(frame, count) if count > 1 else self._page(frame)
            part = part[within : within + size]
            parts.append(part)
            address, size = address + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _pages(self, frame: int, count: int) -> bytes:
        """Pages in a row, up to one that is not there. Raises DumpError where one of them cannot be read."""
        if frame in self.bitmaps and self.bitmaps.row(frame + count) - self.bitmaps.row(frame) == count:
            return b"".join(self._unpacked(frame, count))
        return self._page(frame)

    def _unpacked(self, frame: int, count: int, *, lenient: bool = False) -> Iterator[bytes]:
        """Pages that are there, in a row, by their descriptors at once: those of zeros share one. A page that cannot be
        read raises DumpError, or is empty."""
        at = self.rows_at + self.bitmaps.row(frame) * DESCRIPTOR.size
        last, page = _NONE, b""
        for offset, size, flags, _ in DESCRIPTOR.iter_unpack(self._part(at, count * DESCRIPTOR.size)):
            if (offset, size, flags) != last:
                try:
                    page, last = self._unpacked_page(frame, at, offset, size, flags), (offset, size, flags)
                except DumpError:
                    if not lenient:
                        raise
                    page, last = b"", _NONE
            yield page
            frame, at = frame + 1, at + DESCRIPTOR.size

    def _pieces(self, address: int, size: int) -> Iterator[tuple[int, bytes]]:
        """What can be read of pages that are in the dump: addresses, and bytes in a row."""
        parts, begun = list[bytes](), address
        for page in self._unpacked(address // self.page_size, size // self.page_size, lenient=True):
            address += self.page_size
            if page:
                parts.append(page)
                continue
            if parts:
                yield begun, b"".join(parts)
            parts, begun = [], address
        if parts:
            yield begun, b"".join(parts)

    def view(self, address: int, size: int) -> memoryview:
        """As Source says; a copy."""
        return memoryview(self.physical(address, size))

    def virtual(self, address: int, size: int) -> bytes:
        """As Memory says."""
        self._arch()
        return read_virtual(self, self._name, address, size)

    @property
    def segments(self) -> tuple[Mapped, ...]:
        """The kernel's text, and memory as the direct map has it. Raises DumpError where the kernel does not say."""
        text, base = self._arch().kernel_map(self)
        return (*text, *(Mapped(each.start, base + each.start, len(each)) for each in self.memory.runs()))

    def _arch(self) -> arch.DumpArch:
        if self.machine not in MACHINES.values():
            known = ", ".join(MACHINES.values())
            raise DumpError(
                f"{self._name}: at offset 0x10c: machine '{visible(self.machine)}' is not known",
                hint=f"one of: {known}",
            )
        return arch.of(self.machine)

    def _bitmaps(self, blocks: int, sub: int, frames: int) -> None:
        at, half = (1 + sub) * self.page_size, blocks * self.page_size // 2
        if not 0 < frames <= min(half * 8, _MOST_FRAMES):
            raise self._wrong(436, f"bitmaps for {frames} pages, and pages at all,")
        self.frames: int = frames  # that the bitmaps have
        used = -(-frames // 8)  # bytes; the rest of the last block has no pages
        self.rows_at: int = at + 2 * half  # where the descriptors begin
        dumped, valid = (np.frombuffer(self._part(each, used), np.uint8) for each in (at + half, at))
        there = max(0, self._file.size - self.rows_at) // DESCRIPTOR.size
        self.bitmaps: Bitmaps = Bitmaps(dumped, valid, self.part or range(frames), there)
        mine, gone, valid = self.bitmaps.mine, self.bitmaps.gone, self.bitmaps.valid
        self.memory: RangeSet = PageRuns(valid, frames, self.page_size)
        self.ranges: RangeSet = PageRuns(mine, frames, self.page_size)
        self.cut_off: RangeSet = PageRuns(gone, frames, self.page_size)

    @cached_property
    def left_out(self) -> RangeSet:
        """Memory of the machine that is not in this file."""
        return PageRuns(self.bitmaps.valid & ~self.bitmaps.mine, self.frames, self.page_size)

    @property
    def noted(self) -> bool:
        """Whether VMCOREINFO is in the headers."""
        return bool(self._text or vmcoreinfo_of(self.notes).lines)

    @property
    def strange(self) -> int:
        """How many pages are in the dump that were no memory."""
        return self.bitmaps.strange

    @property
    def whole(self) -> bool:
        """As Source says: its status, and the last record of a flattened file."""
        return not any(self._early())

    def _early(self) -> Iterator[str]:
        if self.status & Status.INCOMPLETE:
            yield f"{self._name}: its writer says, at offset 0x1a8, that the dump was cut off"
        if isinstance(self._file, FlatFile) and self._file.problem:
            yield self._file.problem

    @property
    def size(self) -> int:
        """Bytes of the file, those of a flattened one put together."""
        return self._file.size

    def part_of_file(self, at: int, size: int) -> bytes | memoryview:
        """`size` bytes of the file at an offset. Raises DumpError where it ends before."""
        return self._part(at, size)

    def _page(self, frame: int) -> bytes:
        with self._lock:
            found = self._cache.get(frame)
            if found is not None:
                self._cache.move_to_end(frame)
                return found
        page = self._read_page(frame)
        with self._lock:
            self._cache[frame] = page
            if len(self._cache) > _PAGES:
                self._cache.popitem(last=False)
        return page

    def _read_page(self, frame: int) -> bytes:
        if frame < self.frames and self.part is not None and frame not in self.part:
            raise DumpError(
                f"{self._name}: page {frame:#x} is in another file of this split dump", hint="give all its files"
            )
        if frame * self.page_size in self.cut_off:
            raise self._wrong(self._file.size, f"the descriptor of page {frame:#x}")
        if frame not in self.bitmaps:
            raise DumpError(
                f"{self._name}: page {frame:#x} is not in the dump", hint="it was left out, or is no memory"
            )
        row = self.bitmaps.row(frame)
        at = self.rows_at + row * DESCRIPTOR.size
        offset, size, flags, _ = DESCRIPTOR.unpack(self._part(at, DESCRIPTOR.size))
        return self._unpacked_page(frame, at, offset, size, flags)

    def _unpacked_page(self, frame: int, at: int, offset: int, size: int, flags: int) -> bytes:
        if not offset or size > self.page_size:
            raise DumpError(f"{self._name}: at offset {at:#x}: page {frame:#x} did not arrive", hint=_HINT)
        packed = self._part(offset, size)
        try:
            page = bytes(self.unpacked(flags, packed))
        except ValueError as error:
            raise DumpError(f"{self._name}: page {frame:#x} at offset {offset:#x}: {error}", hint=_HINT) from None
        if len(page) != self.page_size:
            raise self._wrong(offset, f"a page of {self.page_size} bytes")
        return page

    def _bounded(self, what: str, where: tuple[int, int]) -> bytes:
        at, size = where  # as the headers name it; as much as can be of it is read
        if (there := max(0, min(size, self._file.size - at, _MOST_NOTES))) < size:
            problem = f"at offset {at:#x}: {size} bytes of {what} were expected, {there} can be"
            self.problems.append(f"{self._name}: {problem}")
        return bytes(self._part(at, there)) if there else b""

    def _part(self, at: int, size: int) -> bytes | memoryview:
        if at + size > self._file.size:  # before anything is read
            there = max(0, self._file.size - at)
            raise self._wrong(at + there, f"{size - there} more bytes")
        return self._file.read(at, size)

    def _wrong(self, at: int, expected: str) -> DumpError:
        return DumpError(f"{self._name}: at offset {at:#x}: {expected} was expected", hint=_HINT)
