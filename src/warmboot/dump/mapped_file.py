"""A dump's file, mapped."""

from __future__ import annotations

import mmap
from pathlib import Path

from warmboot.dump.interface import DumpError
from warmboot.visible import visible

__all__ = ["MappedFile"]


class MappedFile:
    """A file's bytes."""

    def __init__(self, path: Path) -> None:
        """Raises DumpError where it cannot be read."""
        try:
            with path.open("rb") as file:
                self._map = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        except (OSError, ValueError) as error:
            raise DumpError(f"{visible(str(path))}: cannot be read: {error}", hint="check the path") from None
        self.size: int = len(self._map)

    def read(self, at: int, size: int) -> bytes | memoryview:
        """`size` bytes, fewer at the end; nothing is copied."""
        return self._map[at : at + size]
