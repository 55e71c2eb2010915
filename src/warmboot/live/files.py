"""Reading /proc and /sys: plain system calls, as a start of `kexec` reads hundreds of these files."""

from __future__ import annotations

import os

from warmboot.numbers import number as bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["exists", "folder", "number", "read", "text", "under"]

_CHUNK = 1 << 16  # bytes


def under(root: str, name: str) -> str:
    """The path of proc/... or sys/... below `root`, which is / but in tests."""
    return f"{root.rstrip('/')}/{name}"


def read(path: str, *, until: bytes = b"") -> bytes:
    """The whole file, or as much as has `until` in it. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        tail = b""  # where `until` may have begun
        while chunk := os.read(fd, _CHUNK):
            chunks.append(chunk)  # joined once: /proc/kallsyms comes in some thousand chunks
            if until:
                tail += chunk
                if until in tail:
                    break
                tail = tail[-len(until) :]
        return b"".join(chunks)
    finally:
        os.close(fd)


def text(path: str) -> str | None:
    """The file without white space around it, or None where it cannot be read."""
    try:
        return read(path).decode("utf-8", "replace").strip()
    except OSError:
        return None


def number(path: str, *, least: int = 0, most: int = (1 << 64) - 1) -> int | None:
    """The number in a file, in C's notation, or None where there is none, or none from `least` to `most`."""
    found = text(path) or ""
    value = bounded(found, 0, least=least, most=most)
    # C takes a leading zero for octal, and sysfs never means that.
    return bounded(found, least=least, most=most) if value is None else value


def exists(path: str) -> bool:
    """Whether there is such a file or folder."""
    return os.access(path, os.F_OK)


def folder(path: str) -> Iterator[str]:
    """The names in a folder, none where it cannot be read."""
    try:
        with os.scandir(path) as entries:
            yield from [entry.name for entry in entries]
    except OSError:
        return
