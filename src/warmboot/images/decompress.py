"""Compressed files: gzip, zstd, lzma-alone, xz and lz4, told by their content, unpacked into a file in memory.

What is unpacked streams into an anonymous file that is then mapped: the process itself holds a few MiB at a time, and
what the format's dictionary asks for.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from warmboot.errors import InputError, MissingToolError
from warmboot.formats.reading import has
from warmboot.images.sink import Beginning, DamagedError, FullError, NotAloneError, Sink

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


__all__ = ["beginning", "compression", "decompressed"]

_PIECE = 256 << 10  # bytes that are read at a time, at most
_FIRST_PIECE = 1 << 10  # of each stream: what a short one does not take has to be read again
_CHUNK = 1 << 20  # bytes that are unpacked at a time
_LARGEST_DICTIONARY = 256 << 20  # bytes of xz or lzma; Linux packs itself with up to 128 MiB
_LARGEST_LIMIT = 4 << 30  # bytes
_LZ4_LEGACY_BLOCK = 8 << 20  # what each block but the last unpacks to
_LZ4_LEGACY_LONGEST = _LZ4_LEGACY_BLOCK + _LZ4_LEGACY_BLOCK // 255 + 16  # a block that could not be compressed

_MAGICS = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\0",
    "lz4": b"\x04\x22\x4d\x18",
    "lz4 legacy": b"\x02\x21\x4c\x18",
}


def compression(data: memoryview) -> str | None:
    """What the file is compressed with, by its first bytes; None where it is not."""
    for name, magic in _MAGICS.items():
        if has(data, 0, magic):
            return name
    return "lzma" if _is_lzma_alone(data) else None


def _is_lzma_alone(data: memoryview) -> bool:
    """This format has no magic: properties, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and a size that makes sense."""
    if data.nbytes < 14 or data[0] >= 9 * 5 * 5:
        return False
    dictionary = int.from_bytes(data[1:5], "little")
    size = int.from_bytes(data[5:13], "little")
    lowest = dictionary & -dictionary
    return (
        dictionary >= 4096
        and dictionary in (lowest, 3 * lowest, 2**32 - 1)
        and (size < 1 << 38 or size == 2**64 - 1)
        and data[13] == 0  # the range coder's first byte
    )


def decompressed(
    data: memoryview, name: str, *, limit: int | None = None, kept: int | None = None, alone: bool = False
) -> memoryview:
    """The content of the file `name`: `data` itself, or what it unpacks to, once.

    `limit` is the most that may come out, in bytes: half of this computer's memory and at most 4 GiB by default, as
    the kernel has to hold it once more; the first `kept` of it are given. A file that must be one packed stream
    `alone` is given as it is where anything but zeros follows that. Raises InputError for a file that is cut short or
    damaged, RefusedError for one that is too large, MissingToolError where the library for it is not installed.
    """
    kind = compression(data)
    if kind is None:
        return data
    sink = Sink(name, _default_limit() if limit is None else limit, kept, alone=alone)
    try:
        _unpack(kind, data, sink, name)
        return sink.view()
    except NotAloneError:
        return data
    except DamagedError as damage:
        raise _damaged(name, kind, damage) from None
    finally:
        sink.close()


def beginning(data: memoryview, name: str, size: int) -> memoryview:
    """The first `size` bytes of what the packed file `name` unpacks to, or all of it. Raises as `decompressed` does."""
    kind, sink = compression(data), Beginning(size)
    if kind is None:
        return data[:size]
    try:
        _unpack(kind, data, sink, name)
    except FullError:
        pass
    except DamagedError as damage:
        raise _damaged(name, kind, damage) from None
    return memoryview(sink.data)


def _unpack(kind: str, data: memoryview, sink: Sink, name: str) -> None:
    try:
        _UNPACK[kind](data, sink)
    except ImportError as error:
        package = {"zstd": "zstandard", "lz4": "lz4", "lz4 legacy": "lz4"}.get(kind)
        raise MissingToolError(
            f"{name}: {kind} data, and Python's module {error.name} is missing",
            hint=f"python3 -m pip install {package}, or unpack the file first" if package else "unpack the file first",
        ) from None


def _damaged(name: str, kind: str, damage: DamagedError) -> InputError:
    return InputError(f"{name}: the {kind} data are {damage}", hint="copy or download the file again")


def _default_limit() -> int:
    return min(_LARGEST_LIMIT, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


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
            sink.check_trailer(data[at:], ignored=magic == _MAGICS["gzip"])
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

    _stream(data, sink, _Inflate, (zlib.error,), _MAGICS["gzip"])


def _unpack_xz(data: memoryview, sink: Sink) -> None:
    import lzma  # noqa: PLC0415

    def new() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LARGEST_DICTIONARY)

    _stream(data, sink, new, (lzma.LZMAError, EOFError), _MAGICS["xz"])


def _unpack_lzma(data: memoryview, sink: Sink) -> None:
    import lzma  # noqa: PLC0415

    def new() -> Decoder:
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LARGEST_DICTIONARY)

    _stream(data, sink, new, (lzma.LZMAError, EOFError), None)


def _unpack_lz4(data: memoryview, sink: Sink) -> None:
    import lz4.frame  # noqa: PLC0415

    _stream(data, sink, lz4.frame.LZ4FrameDecompressor, (RuntimeError, ValueError, EOFError), _MAGICS["lz4"])


def _unpack_lz4_legacy(data: memoryview, sink: Sink) -> None:
    """Blocks, each after its length; whatever follows the last one is told by a length that none can have."""
    import lz4.block  # noqa: PLC0415

    magic = _MAGICS["lz4 legacy"]
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


_UNPACK: dict[str, Callable[[memoryview, Sink], None]] = {
    "gzip": _unpack_gzip,
    "zstd": _unpack_zstd,
    "xz": _unpack_xz,
    "lzma": _unpack_lzma,
    "lz4": _unpack_lz4,
    "lz4 legacy": _unpack_lz4_legacy,
}
