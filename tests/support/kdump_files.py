"""Reading kdump-compressed files in tests, plainly and page by page, with the libraries that crash and drgn use too."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard
from cramjam import snappy
from lzallright import LZOCompressor
from numpy.typing import NDArray

__all__ = ["KdumpFile"]

_ROW = np.dtype([("offset", "<u8"), ("size", "<u4"), ("flags", "<u4"), ("page_flags", "<u8")])


@dataclass(frozen=True)
class KdumpFile:
    """Bitmaps as a byte for each frame, descriptors by frame in the dump."""

    data: bytes
    status: int
    block: int
    valid: NDArray[np.uint8]
    dumped: NDArray[np.uint8]
    rows: NDArray[np.void]

    @classmethod
    def of(cls, path: Path) -> KdumpFile:
        """Read a file that is not split."""
        data = path.read_bytes()
        assert data.startswith(b"KDUMP   \x06\0\0\0")
        status, block, sub, blocks = struct.unpack_from("<IiiI", data, 424)
        [frames] = struct.unpack_from("<Q", data, block + 96)
        at, half = (1 + sub) * block, blocks * block // 2
        maps = [
            np.unpackbits(np.frombuffer(data, np.uint8, half, at + each), bitorder="little")[:frames]
            for each in (0, half)
        ]
        rows = np.frombuffer(data, _ROW, int(maps[1].sum()), at + 2 * half)
        return cls(data, status, block, maps[0], maps[1], rows)

    def page(self, index: int) -> bytes:
        """The bytes of the page of a descriptor."""
        offset, size, flags, _ = self.rows[index].tolist()
        packed = self.data[offset : offset + size]
        assert len(packed) == size
        match flags:
            case 0:
                return packed
            case 0x1:
                return zlib.decompress(packed)
            case 0x2:
                return bytes(LZOCompressor.decompress(packed, output_size_hint=self.block))
            case 0x4:
                return bytes(snappy.decompress_raw(packed))
            case 0x20:
                return zstandard.ZstdDecompressor().decompress(packed, max_output_size=self.block)
        raise AssertionError(f"flags {flags:#x}")
