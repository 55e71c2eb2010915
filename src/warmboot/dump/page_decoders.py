"""Unpacking pages of kdump-compressed dumps: what a page says of its size is checked before anything is allocated."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from warmboot.dump.kdump_header import Status

__all__ = ["PageDecoder"]

_CODECS = Status.ZLIB | Status.LZO | Status.SNAPPY | Status.ZSTD


class PageDecoder:
    """Unpacks pages of one dump. Never more than a page is made."""

    def __init__(self, size: int) -> None:
        """`size` is that of a page, in bytes."""
        self._size = size
        self._known: dict[int, Callable[[bytes | memoryview], bytes]] = {}

    def __call__(self, flags: int, packed: bytes | memoryview) -> bytes | memoryview:
        """A page by the flags of its descriptor. Raises ValueError for what is none."""
        if not flags & _CODECS:
            return packed
        known = self._known.get(flags)
        if known is None:
            known = self._known[flags] = _decoder(flags, self._size)
        try:
            return known(packed)
        except Exception as error:  # each codec raises a kind of its own, and some raise Exception
            raise ValueError(str(error)) from None


def _decoder(flags: int, size: int) -> Callable[[bytes | memoryview], bytes]:
    if flags & Status.ZLIB:
        return lambda data: zlib.decompressobj().decompress(data, size)
    if flags & Status.ZSTD:
        import zstandard  # noqa: PLC0415 - only what is used, here and below

        def unpack(data: bytes | memoryview) -> bytes:
            _check(zstandard.frame_content_size(data), size)  # else as much is allocated as the frame asks for
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)

        return unpack
    if flags & Status.LZO:
        from lzallright import LZOCompressor  # noqa: PLC0415

        return lambda data: bytes(LZOCompressor.decompress(bytes(data), output_size_hint=size))
    if flags & Status.SNAPPY:
        from cramjam import snappy  # noqa: PLC0415

        def unpack_snappy(data: bytes | memoryview) -> bytes:
            _check(snappy.decompress_raw_len(data), size)
            return bytes(snappy.decompress_raw(data))

        return unpack_snappy
    raise ValueError(f"flags {flags:#x} name no codec that is known")


def _check(told: int, size: int) -> None:
    if told > size:
        raise ValueError(f"it unpacks to {told} bytes, not {size}")
