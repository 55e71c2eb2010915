"""Where downloads are kept, and how a file gets there whole or not at all.

Every file is written under another name and then renamed, so a run that was killed leaves nothing that a
later run could take for a result. Files that were made here are kept with their SHA-256 beside them, so one
that was damaged later is noticed and made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warmboot.errors import InputError, RefusedError

__all__ = ["cache_folder", "is_stored", "locked", "make_folder", "sha256_of", "store", "write_whole"]


def cache_folder(cache: Path | None = None) -> Path:
    """The cache: `cache` if given, else $WARMBOOT_CACHE, else $XDG_CACHE_HOME/warmboot, else ~/.cache/warmboot.

    The path is absolute; the folder need not exist yet.
    """
    if cache is not None:
        return cache.absolute()
    if chosen := os.environ.get("WARMBOOT_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # The XDG base directory specification says that a relative path is to be ignored.
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return folder / "warmboot"


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents.

    Raises InputError if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made: {error.strerror}",
            hint="set WARMBOOT_CACHE to a folder that you may write, for example $HOME/.cache/warmboot",
        ) from error
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`: two runs at once do the work one after the other.

    The kernel drops the lock when its holder dies, so a killed run never blocks the next one.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened: {error.strerror}",
            hint="set WARMBOOT_CACHE to a folder that you may write, for example $HOME/.cache/warmboot",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that `path` is at every moment absent, the old file or the whole new one.

    Two writers of one path must hold the same lock. Raises RefusedError if it cannot be written.
    """
    make_folder(path.parent)
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise RefusedError(
            f"{path}: cannot be written: {error.strerror}",
            hint="make room there, or set WARMBOOT_CACHE to another folder",
        ) from error


def sha256_of(path: Path) -> str | None:
    """The file's SHA-256 in hexadecimal, or None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def store(path: Path, data: bytes) -> None:
    """Write `data` and, after it, its SHA-256: see `is_stored`."""
    write_whole(path, data)
    line = f"{hashlib.sha256(data).hexdigest()}  {path.name}\n"  # what `sha256sum -c` reads
    write_whole(_digest_file(path), line.encode())


def is_stored(path: Path) -> bool:
    """Whether `path` is, byte for byte, what `store` wrote there."""
    try:
        recorded = _digest_file(path).read_text(errors="replace").split()
    except OSError:
        return False
    return bool(recorded) and recorded[0] == sha256_of(path)
