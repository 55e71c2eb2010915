"""What ramoops keeps over a reset: zones of persistent RAM (fs/pstore/ram.c, ram_core.c), found by their signature.

A zone is struct persistent_ram_buffer, "DBGC", where the next byte goes, how many there are, and then the bytes, a ring
where they have come round. Records of the log are in zones of their own, each with a line that says when, and whether
it is packed by deflate; the console's and pmsg's zones are text as it was written. Error correction (ramoops.ecc) has
its bytes behind those of the zone, which are read as they are.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.memmap.range_set import RangeSet

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["RamoopsZone", "zones_of", "zones_of_file"]

_SIGNATURE = b"DBGC"  # PERSISTENT_RAM_SIG
_HEADER = struct.Struct("<4sII")  # sig, start, size
_MOST = 16 << 20  # bytes of a zone
_MOST_ZONES = 4096
_CHUNK = 4 << 20
_SAMPLE = 256  # bytes that tell whether it is text
_RECORD = re.compile(rb"====(\d{1,19})\.(\d{1,9})-([CD])\n")
_CONSOLE = re.compile(rb"^(?:<\d+>)?\[ *\d+\.\d{6}\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RamoopsZone:
    """A zone that has something. `at` is the physical address, of a file alone the offset; `kind` is "dmesg", "console"
    or "pmsg"; `time` of a record is in seconds since 1970. `problem` says what of it could not be read."""

    at: int
    kind: str
    time: float | None
    text: str
    problem: str = ""


def zones_of(source: Source) -> list[RamoopsZone]:
    """The zones in the memory of a dump, lowest first."""
    return list(_found(source.ranges, source.physical))


def zones_of_file(path: Path) -> list[RamoopsZone]:
    """The zones in any file, such as one that the persistent RAM was copied to. Raises NoDumpError."""
    from warmboot.dump.plain_file import PlainFile  # noqa: PLC0415 - for files that are no dumps alone

    file = PlainFile(path)
    return list(_found(RangeSet(file.filled()), file.read))


def _found(ranges: RangeSet, read: Callable[[int, int], bytes]) -> Iterator[RamoopsZone]:
    count = 0
    for at in _signatures(ranges, read):
        zone = _zone(at, read)
        if zone is not None:
            yield zone
            count += 1
        if count >= _MOST_ZONES:
            return


def _signatures(ranges: RangeSet, read: Callable[[int, int], bytes]) -> Iterator[int]:
    """Where a zone may begin: at a multiple of 4."""
    for run in ranges.runs():
        for start in range(run.start, run.stop, _CHUNK):
            try:
                data = read(start, min(_CHUNK, run.stop - start))
            except DumpError:
                continue
            at = data.find(_SIGNATURE)
            while at >= 0:
                if (start + at) % 4 == 0:
                    yield start + at
                at = data.find(_SIGNATURE, at + 1)


def _zone(at: int, read: Callable[[int, int], bytes]) -> RamoopsZone | None:
    try:
        _, start, size = _HEADER.unpack(read(at, _HEADER.size))
        if not 0 < size <= _MOST or start > size:
            return None
        data = read(at + _HEADER.size, size)
    except DumpError:
        return None
    record = _RECORD.match(data)
    if record is not None:
        return _unpacked(
            RamoopsZone(at, "dmesg", int(record[1]) + int(record[2]) / 1e6, ""), record[3], data[record.end() :]
        )
    data = data[start:] + data[:start]  # oldest first; where it has not come round, `start` is the end
    if sum(each >= 0x20 or each in b"\t\n\r\x1b" for each in data[:_SAMPLE]) < 0.9 * min(_SAMPLE, size):
        return None
    lines = data.count(b"\n") + 1
    kind = "console" if len(_CONSOLE.findall(data)) * 2 >= lines else "pmsg"
    return RamoopsZone(at, kind, None, data.decode("utf-8", "replace"))


def _unpacked(zone: RamoopsZone, codec: bytes, data: bytes) -> RamoopsZone:
    if codec == b"D":
        return replace(zone, text=data.decode("utf-8", "replace"))
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    text = b""
    try:
        text = unpack.decompress(data, _MOST)
        problem = "" if unpack.eof else "it ends early"
    except zlib.error as error:
        problem = str(error)
        text = _first_part(data)
    return replace(zone, text=text.decode("utf-8", "replace"), problem=problem)


def _first_part(data: bytes) -> bytes:
    """What comes before the damage."""
    unpack, parts = zlib.decompressobj(-zlib.MAX_WBITS), list[bytes]()
    try:
        for at in range(0, len(data), 64):
            parts.append(unpack.decompress(data[at : at + 64], _MOST))
    except zlib.error:
        pass
    return b"".join(parts)
