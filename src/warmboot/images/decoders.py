"""The decoders of gzip, zstd, lzma-alone, xz and lz4: each unpacks a whole file, of one or more streams, to a sink."""

from __future__ import annotations

from collections.abc import Callable

from warmboot.formats.reading import has
from warmboot.images.sink import DamagedError, Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Decoder(Protocol):
        """What the decoders of lzma, lz4.frame and `_Inflate` have in common."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes | None: ...
        def decompress(self, data: bytes, max_length: int) -> bytes: ...


__all__ = ["MAGICS", "UNPACK"]

_PIECE = 256 << 10  # bytes that are read at a time, at most
_FIRST_PIECE = 1 << 10  # of each stream: what a short one does not take has to be read again
_CHUNK = 1 << 20  # bytes that are unpacked at a time
_LARGEST_DICTIONARY = 256 << 20  # bytes of xz or lzma; Linux packs itself with up to 128 MiB
_LZ4_LEGACY_BLOCK = 8 << 20  # what each block but the last unpacks to
_LZ4_LEGACY_LONGEST = _LZ4_LEGACY_BLOCK + _LZ4_LEGACY_BLOCK // 255 + 16  # a block that could not be compressed

MAGICS = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\0",
    "lz4": b"\x04\x22\x4d\x18",
    "lz4 legacy": b"\x02\x21\x4c\x18",
}


def _stream(
    data: memoryview,
    sink: Sink,
    new: Callable[[], Decoder],
    errors: tuple[type[Exception], ...],
    magic: bytes | None,
) -> None:
    """Feed a decoder piece by piece, and a new one for each stream that begins with `magic` after the last one."""
    at = 0
    while at < data.nbytes:
        if at and (magic is None or not has(data, at, magic)):
            # gzip(1), zlib and so kexec-tools take no notice of what follows.
            sink.check_trailer(data[at:], ignored=magic == MAGICS["gzip"])
            return
        if at:
            sink.another()
        decoder, size = new(), _FIRST_PIECE
        while not decoder.eof:
            piece = bytes(data[at : at + size]) if decoder.needs_input else b""
            size = min(2 * size, _PIECE)
            if decoder.needs_input and not piece:
                raise DamagedError(f"cut short at byte {at:#x}")
            at += len(piece)
            try:
                chunk = decoder.decompress(piece, _CHUNK)
            except errors as error:
                raise DamagedError(f"unusable before byte {at:#x}: {error}") from None
            sink.write(chunk)
        at -= len(decoder.unused_data or b"")


class _Inflate:
    """zlib's decoder of gzip, with the interface of lzma's."""

    def __init__(self) -> None:
        import zlib  # noqa: PLC0415

        self._inner = zlib.decompressobj(wbits=31)
        self._more = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._more

    def decompress(self, data: bytes, max_length: int) -> bytes:
        chunk = self._inner.decompress(data or self._inner.unconsumed_tail, max_length)
        self._more = bool(self._inner.unconsumed_tail) or len(chunk) == max_length
        return chunk


def _unpack_gzip(data: memoryview, sink: Sink) -> None:
    import zlib  # noqa: PLC0415

    _stream(data, sink, _Inflate, (zlib.error,), MAGICS["gzip"])


def _unpack_xz(data: memoryview, sink: Sink) -> None:
    import lzma  # noqa: PLC0415

    def new() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_DICTIONARY)

    _stream(data, sink, new, (lzma.LZMAError, EOFError), MAGICS["xz"])


def _unpack_lzma(data: memoryview, sink: Sink) -> None:
    import lzma  # noqa: PLC0415

    def new() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LARGEST_DICTIONARY)

    _stream(data, sink, new, (lzma.LZMAError, EOFError), None)


def _unpack_lz4(data: memoryview, sink: Sink) -> None:
    import lz4.frame  # noqa: PLC0415

    _stream(data, sink, lz4.frame.LZ4FrameDecompressor, (RuntimeError, ValueError, EOFError), MAGICS["lz4"])


def _unpack_lz4_legacy(data: memoryview, sink: Sink) -> None:
    """Blocks, each after its length; whatever follows the last one is told by a length that none can have."""
    import lz4.block  # noqa: PLC0415

    magic = MAGICS["lz4 legacy"]
    at = len(magic)
    while at < data.nbytes:
        if has(data, at, magic):  # another file joined to this one
            sink.another()
            at += 4
            continue
        length = int.from_bytes(data[at : at + 4], "little")
        if data.nbytes - at <= 4 or not 0 < length <= _LZ4_LEGACY_LONGEST:
            sink.check_trailer(data[at:])
            return
        block = data[at + 4 : at + 4 + length]
        if block.nbytes < length:
            raise DamagedError(f"cut short at byte {data.nbytes:#x}")
        try:
            sink.write(lz4.block.decompress(block, uncompressed_size=_LZ4_LEGACY_BLOCK))
        except lz4.block.LZ4BlockError as error:
            raise DamagedError(f"unusable after byte {at:#x}: {error}") from None
        at += 4 + length


def _unpack_zstd(data: memoryview, sink: Sink) -> None:
    from warmboot.images.zstd import unpack  # noqa: PLC0415

    unpack(data, sink)


UNPACK: dict[str, Callable[[memoryview, Sink], None]] = {
    "gzip": _unpack_gzip,
    "zstd": _unpack_zstd,
    "xz": _unpack_xz,
    "lzma": _unpack_lzma,
    "lz4": _unpack_lz4,
    "lz4 legacy": _unpack_lz4_legacy,
}
