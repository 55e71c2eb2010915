"""zstd (RFC 8878): frames are measured first, so that each is unpacked straight into its place in one go.

Fed piece by piece, the library keeps the last 8 to 128 MiB of what it unpacked for itself: only of a frame whose end
is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from warmboot.formats.reading import has
from warmboot.images.sink import DamagedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.sink import Sink

__all__ = ["unpack"]

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_LONGEST_HEADER = 18
_BLOCK_MAX = 128 << 10  # bytes that a block unpacks to, at most
_MOST_BLOCKS = 1 << 22
_LARGEST_WINDOW = 128 << 20  # bytes, as `zstd -d` takes them without --long
_CHUNK = 1 << 20


def unpack(data: memoryview, sink: Sink) -> None:
    """Unpack every frame. Raises DamagedError, and what `sink` raises."""
    decoder = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    try:
        for frame, size in _frames(data, sink):
            reader = decoder.stream_reader(frame, read_across_frames=False)
            if size is None or not sink.has_room(size):
                while chunk := reader.read(_CHUNK):
                    sink.write(chunk)
            elif size:
                with sink.room(size) as room:
                    if reader.readinto(room) != size:
                        raise DamagedError("damaged: a frame holds less than it says")
    except zstandard.ZstdError as error:
        raise DamagedError(f"unusable: {error}") from None


def _frames(data: memoryview, sink: Sink) -> Iterator[tuple[memoryview, int | None]]:
    """Each frame of `data` and the bytes that it unpacks to, None where it does not say."""
    at = number = 0
    while at < data.nbytes:
        if int.from_bytes(data[at : at + 4], "little") in _SKIPPABLE:
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        if not has(data, at, _MAGIC):
            sink.check_trailer(data[at:])
            return
        if number:
            sink.another()
        number += 1
        head = bytes(data[at : at + _LONGEST_HEADER])
        parameters = zstandard.get_frame_parameters(head)
        checksum = 4 if parameters.has_checksum else 0
        length, most = _measure(data[at:], zstandard.frame_header_size(head), checksum)
        size: int | None = parameters.content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN:
            size = None
        elif size is not None and size > most:
            raise DamagedError("damaged: a frame holds less than it says")
        yield data[at : at + length], size
        at += length


def _measure(frame: memoryview, header: int, checksum: int) -> tuple[int, int]:
    """The frame's length in bytes, and the most that it can unpack to."""
    at = header
    for number in range(1, _MOST_BLOCKS):
        word = int.from_bytes(frame[at : at + 3], "little")
        last, kind, size = word & 1, word >> 1 & 3, word >> 3
        at += 3 + (1 if kind == 1 else size)  # a block of one repeated byte holds it once
        if at + checksum > frame.nbytes or kind == 3:
            break
        if last:
            return at + checksum, number * _BLOCK_MAX
    raise DamagedError("damaged" if at + checksum <= frame.nbytes else "cut short")
