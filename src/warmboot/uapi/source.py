"""What lies behind a segment's `buf`: bytes of the caller, readable until the first fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from warmboot.records import Protocol, dataclass

__all__ = ["Joined", "Readable", "Source", "Unreadable"]


class Source(Protocol):
    """A run of user memory that begins at a segment's `buf`."""

    @property
    def readable(self) -> int:
        """Bytes that can be read before the first fault."""

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        """The `size` bytes from `offset` on, all of them readable, as one or more pieces; nothing is copied."""


@dataclass(frozen=True, slots=True)
class Readable:
    """Bytes in this process, or a mapped file."""

    data: memoryview

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Readable:
        """A source over anything with a buffer."""
        return cls(memoryview(data).cast("B"))

    @property
    def readable(self) -> int:
        return self.data.nbytes

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        yield self.data[offset : offset + size]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A source that faults at once: address 0, nothing mapped, a kernel address."""

    @property
    def readable(self) -> int:
        return 0

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        return iter(())


class Joined:
    """Several runs of bytes behind one another, each padded with zeros to a multiple of `align` bytes.

    So several initial RAM disks become one: the kernel wants an uncompressed archive at a multiple of 4
    (Documentation/driver-api/early-userspace/buffer-format.rst), and skips zeros between archives.
    """

    def __init__(self, parts: Sequence[memoryview], *, align: int = 4) -> None:
        self._pieces: list[memoryview] = []
        for number, part in enumerate(parts, 1):
            self._pieces.append(part)
            if len(part) % align and number < len(parts):
                self._pieces.append(memoryview(bytes(-len(part) % align)))

    @property
    def readable(self) -> int:
        return sum(piece.nbytes for piece in self._pieces)

    def pieces(self, offset: int, size: int) -> Iterator[memoryview]:
        for piece in self._pieces:
            if size <= 0:
                return
            if offset >= piece.nbytes:
                offset -= piece.nbytes
                continue
            part = piece[offset : offset + size]
            yield part
            offset, size = 0, size - part.nbytes
