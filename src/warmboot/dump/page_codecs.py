"""Compressing pages, each by itself, as kdump-compressed dumps want it. Other threads run meanwhile.

zstd takes many pages in one call. zlib is the one of ISA-L where that is installed, three times as fast; LZO is the
liblzo2 of the system where there is one (crash and makedumpfile need it too), ten times as fast as the Python package.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from warmboot.dump.kdump_header import CODEC_NAMES, Status
from warmboot.errors import InputError

__all__ = ["CODECS", "Compress", "Packed", "compressor"]

CODECS = dict(zip(CODEC_NAMES, (Status.ZSTD, Status.LZO, Status.SNAPPY, Status.ZLIB, Status(0)), strict=True))
_ZSTD_LEVEL = 2  # a little smaller than level 1, at the same speed for pages
_LZO1X_1_MEM_COMPRESS = 16384 * 8


@dataclass(frozen=True, slots=True)
class Packed:
    """Pages one after the other; those that did not get smaller are as they were, and have no flag."""

    data: Sequence[bytes | memoryview]
    sizes: Sequence[int]
    flags: Sequence[int]


Runs = Sequence[tuple[int, int]]  # where pages in a row begin, an offset in bytes, and how many they are
# Compresses pages of memory: a view, and the runs of pages in it. For one thread.
Compress = Callable[[memoryview, Runs], Packed]


def compressor(codec: str, page_size: int) -> Compress:
    """A compressor for one thread. Raises InputError for a codec that there is not; "none" needs none."""
    if codec == "zstd":
        return _zstd(page_size)
    if codec == "lzo":
        return _liblzo2(page_size) or _each(_lzallright(), Status.LZO, page_size)
    if codec == "snappy":
        return _snappy(page_size)
    if codec == "zlib":
        return _each(_deflate(), Status.ZLIB, page_size)
    raise InputError(f"{codec!r} is no codec", hint=f"one of: {', '.join(CODECS)}")


def _offsets(runs: Runs, size: int) -> Iterator[int]:
    for start, count in runs:
        yield from range(start, start + count * size, size)


def _joined(pieces: list[bytes | memoryview], flag: int, view: memoryview, runs: Runs, size: int) -> Packed:
    sizes = list(map(len, pieces))
    flags = [flag] * len(pieces)
    if sizes and max(sizes) >= size:
        for at, start in enumerate(_offsets(runs, size)):
            if sizes[at] >= size:
                pieces[at] = view[start : start + size]
                sizes[at], flags[at] = size, 0
    return Packed([b"".join(pieces)], sizes, flags)


def _zstd(size: int) -> Compress:
    import zstandard  # noqa: PLC0415 - only what is used, here and below

    context = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)

    def compress(view: memoryview, runs: Runs) -> Packed:
        segments = array("Q", [size]) * (2 * sum(count for _, count in runs))
        segments[::2] = array("Q", _offsets(runs, size))
        done = context.multi_compress_to_buffer(zstandard.BufferWithSegments(view, segments.tobytes()), threads=1)
        # Each is a BufferSegment: a buffer, which its types do not say.
        pieces = cast("list[bytes | memoryview]", list(map(done.__getitem__, range(len(done)))))
        return _joined(pieces, Status.ZSTD, view, runs, size)

    return compress


def _each(function: Callable[[memoryview], bytes], flag: int, size: int) -> Compress:
    def compress(view: memoryview, runs: Runs) -> Packed:
        return _joined([function(view[at : at + size]) for at in _offsets(runs, size)], flag, view, runs, size)

    return compress


def _deflate() -> Callable[[memoryview], bytes]:
    try:
        from isal import isal_zlib  # noqa: PLC0415
    except ImportError:  # an architecture that ISA-L is not for
        import zlib  # noqa: PLC0415

        return lambda page: zlib.compress(page, 1)
    return lambda page: isal_zlib.compress(page, 1)


def _lzallright() -> Callable[[memoryview], bytes]:
    from lzallright import LZOCompressor  # noqa: PLC0415

    compress: Callable[[memoryview], bytes] = LZOCompressor().compress
    return compress


def _snappy(size: int) -> Compress:
    from cramjam import snappy  # noqa: PLC0415

    most = snappy.compress_raw_max_len(bytes(size))

    def one(page: memoryview, into: memoryview) -> int:
        return int(snappy.compress_raw_into(page, into))

    return _into(one, Status.SNAPPY, size, most)


def _into(one: Callable[[memoryview, memoryview], int], flag: int, size: int, most: int) -> Compress:
    """Each page is compressed to where the one before it ended."""

    def compress(view: memoryview, runs: Runs) -> Packed:
        out = memoryview(bytearray(sum(count for _, count in runs) * size + most))
        sizes, flags, end = list[int](), list[int](), 0
        for at in _offsets(runs, size):
            page = view[at : at + size]
            done = one(page, out[end:])
            if done >= size:
                out[end : end + size] = page
                done = size
                flags.append(0)
            else:
                flags.append(flag)
            sizes.append(done)
            end += done
        return Packed([out[:end]], sizes, flags)

    return compress


def _liblzo2(size: int) -> Compress | None:
    """By the system's library, which is found by its name; None where it is not installed."""
    import ctypes  # noqa: PLC0415

    from warmboot.files.held import Hold  # noqa: PLC0415

    try:
        function = ctypes.CDLL("liblzo2.so.2").lzo1x_1_compress
    except (OSError, AttributeError):
        return None
    address, length = ctypes.c_void_p, ctypes.c_size_t()
    function.argtypes = [address, ctypes.c_size_t, address, address, address]
    function.restype = ctypes.c_int
    work = ctypes.create_string_buffer(_LZO1X_1_MEM_COMPRESS)
    told = ctypes.addressof(length)
    most = size + size // 16 + 64 + 3  # of an incompressible page, says LZO's documentation

    def compress(view: memoryview, runs: Runs) -> Packed:
        count = sum(each for _, each in runs)
        out = memoryview(bytearray(count * size + most))
        source, target, workmem = Hold(view), Hold(out), ctypes.addressof(work)
        start, into, end = source.address, target.address, 0
        sizes, flags = [size] * count, [0] * count
        for at, offset in enumerate(_offsets(runs, size)):
            status = function(start + offset, size, into + end, told, workmem)
            done = length.value
            if status == 0 and done < size:
                sizes[at], flags[at] = done, Status.LZO
                end += done
            else:
                out[end : end + size] = view[offset : offset + size]
                end += size
        source.release()
        target.release()
        return Packed([out[:end]], sizes, flags)

    return compress
