"""Opening a dump, whatever its format: told by its first bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from warmboot.dump.interface import NoDumpError
from warmboot.visible import visible

if TYPE_CHECKING:
    from pathlib import Path

    from warmboot.dump.source import Source

__all__ = ["open_dump"]


def open_dump(path: Path, *more: Path) -> Source:
    """The memory that a dump holds: an ELF core such as /proc/vmcore, or kdump-compressed, flattened or not, or memory
    without headers. `more` are the other files of a split one; where all of them lie beside it, it is enough to give
    one. Raises DumpError: NoDumpError where the file is no dump.
    """
    if more:
        return _split([path, *more])
    opened = _open(path)
    if getattr(opened, "part", None) is None:
        return opened
    from warmboot.dump.split_core import siblings  # noqa: PLC0415 - for split dumps alone

    beside = siblings(path)
    return _split(beside) if len(beside) > 1 else opened


def _split(paths: list[Path]) -> Source:
    from warmboot.dump.kdump_core import KdumpCore  # noqa: PLC0415 - each format's reader by itself, as below
    from warmboot.dump.split_core import SplitCore  # noqa: PLC0415

    parts = []
    for path in paths:
        part = _open(path)
        if not isinstance(part, KdumpCore):
            raise NoDumpError(f"{visible(str(path))}: no file of a split dump", hint="give one dump, or all its files")
        parts.append(part)
    return SplitCore(parts, paths)


def _open(path: Path) -> Source:
    name = visible(str(path))
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            start, size = os.pread(file, 16, 0), os.lseek(file, 0, os.SEEK_END)
        finally:
            os.close(file)
    except OSError as error:
        raise NoDumpError(
            f"{name}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from None
    flat = None
    if start.startswith(b"makedumpfile"):
        from warmboot.dump.flat_file import FlatFile  # noqa: PLC0415 - each format's reader by itself

        flat = FlatFile(path)
        if flat.read(0, 4) == b"\x7fELF":
            from warmboot.dump.elf_core import ElfCore  # noqa: PLC0415

            return ElfCore(path, flat)
    if flat is not None or start.startswith(b"KDUMP   "):
        from warmboot.dump.kdump_core import KdumpCore  # noqa: PLC0415 - each format's reader by itself

        return KdumpCore(path, flat)
    if start[:4] != b"\x7fELF" and size >= 1 << 20:
        from warmboot.dump.raw_core import RawCore  # noqa: PLC0415

        return RawCore(path)
    if not start.startswith(b"\x7fELF"):
        what = "the header of a dump (ELF core, kdump-compressed, flattened)" if start else "a dump; the file is empty"
        raise NoDumpError(f"{name}: at offset 0: expected {what}", hint="give /proc/vmcore, or what was saved from it")
    from warmboot.dump.elf_core import ElfCore  # noqa: PLC0415

    return ElfCore(path)
