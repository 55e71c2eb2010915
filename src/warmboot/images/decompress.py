"""Compressed files: gzip, zstd, lzma-alone, xz and lz4, told by their content, unpacked into a file in memory.

What is unpacked streams into an anonymous file that is then mapped: the process itself holds a few MiB at a time, and
what the format's dictionary asks for.
"""

from __future__ import annotations

import os

from warmboot.errors import InputError, MissingToolError
from warmboot.formats.reading import has
from warmboot.images.decoders import MAGICS, UNPACK
from warmboot.images.sink import Beginning, DamagedError, FullError, NotAloneError, Sink

__all__ = ["beginning", "compression", "decompressed"]

_LARGEST_LIMIT = 4 << 30  # bytes


def compression(data: memoryview) -> str | None:
    """What the file is compressed with, by its first bytes; None where it is not."""
    for name, magic in MAGICS.items():
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
        UNPACK[kind](data, sink)
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
