"""Small files whose headers promise much: a message, and little memory."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from cramjam import snappy

from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_header import DESCRIPTOR, HEADER, SUB_HEADER, Status
from warmboot.dump.opening import open_dump

BLOCK = 4096


def headers(bitmap_blocks: int, frames: int) -> bytes:
    names = b"".join(each.ljust(65, b"\0") for each in (b"Linux", b"", b"6.12", b"", b"x86_64", b""))
    low = min(frames, (1 << 32) - 1)
    header: bytes = HEADER.pack(b"KDUMP   ", 6, names, 0, 0, 1, BLOCK, 1, bitmap_blocks, low, 0, 0, 0, 0, 1)
    sub_header: bytes = SUB_HEADER.pack(*[0] * 13, frames)
    return header.ljust(BLOCK, b"\0") + sub_header.ljust(BLOCK, b"\0")


def flattened(*records: tuple[int, bytes]) -> bytes:
    rows = b"".join(struct.pack(">qq", at, len(data)) + data for at, data in records)
    return b"makedumpfile".ljust(4096, b"\0") + rows + struct.pack(">qq", -1, -1)


@pytest.mark.parametrize(("blocks", "frames"), [(0, 0), (2, 0), (0, 1), (2, 1 << 20)])
def test_bitmaps_that_are_not_there(blocks: int, frames: int, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(headers(blocks, frames) + bytes(2 * BLOCK))
    with pytest.raises(DumpError, match="at offset 0x1b4: bitmaps"):
        open_dump(path)


@pytest.mark.parametrize("blocks", [1 << 19, (1 << 31) - 1])
@pytest.mark.parametrize("whole", [False, True])
def test_bitmaps_larger_than_the_file(blocks: int, whole: bool, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    frames = blocks // 2 * BLOCK * 8 if whole else 100
    path.write_bytes(flattened((0, headers(blocks, frames)), (1 << 55, b"x")))
    tracemalloc.start()
    try:
        if whole:
            with pytest.raises(DumpError, match=r"at most|bitmaps for"):
                open_dump(path)
        else:
            assert not open_dump(path).ranges
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def one_page(codec: Status, packed: bytes) -> bytes:
    bitmap = b"\x01".ljust(BLOCK, b"\0")
    at = 4 * BLOCK
    return headers(2, 8) + 2 * bitmap + DESCRIPTOR.pack(at + DESCRIPTOR.size, len(packed), codec, 0) + packed


@pytest.mark.parametrize("size", [BLOCK, 64 << 20])
@pytest.mark.parametrize("codec", [Status.ZSTD, Status.SNAPPY, Status.ZLIB])
def test_a_page_that_unpacks_to_much(codec: Status, size: int, tmp_path: Path) -> None:
    pages: dict[Status, Callable[[bytes], bytes]] = {
        Status.ZSTD: zstandard.ZstdCompressor().compress,
        Status.SNAPPY: lambda data: bytes(snappy.compress_raw(data)),
        Status.ZLIB: zlib.compress,
    }
    packed = pages[codec](bytes(size))
    (tmp_path / "dump").write_bytes(one_page(codec, packed[:BLOCK]))
    tracemalloc.start()
    try:
        dump = open_dump(tmp_path / "dump")
        if size == BLOCK or codec is Status.ZLIB:
            assert dump.physical(0, BLOCK) == bytes(BLOCK)
        else:
            with pytest.raises(DumpError, match=f"it unpacks to {size} bytes, not 4096"):
                dump.physical(0, BLOCK)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_pages_that_did_not_arrive(tmp_path: Path) -> None:
    bitmap = b"\x0f".ljust(BLOCK, b"\0")
    (tmp_path / "dump").write_bytes(headers(2, 8) + 2 * bitmap + 4 * bytes(DESCRIPTOR.size))
    for size in (1, BLOCK, 2 * BLOCK, 4 * BLOCK):
        with pytest.raises(DumpError, match="page 0x0 did not arrive"):
            open_dump(tmp_path / "dump").physical(0, size)


def test_a_dump_is_closed_with_its_reader(tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(flattened((0, one_page(Status.ZLIB, zlib.compress(bytes(BLOCK))))))
    open_dump(tmp_path / "dump")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        assert open_dump(tmp_path / "dump").physical(0, BLOCK) == bytes(BLOCK)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
