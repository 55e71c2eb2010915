"""A file that an option names: written whole, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from warmboot.errors import InputError
from warmboot.visible import visible

__all__ = ["check_asked", "write_asked"]


def write_asked(option: str, path: Path, text: str) -> None:
    """Write `text` to the file that `option` names. Raises InputError."""
    from warmboot.files.whole_file import write_whole  # noqa: PLC0415 - only a file needs it

    data = text.encode("utf-8", "backslashreplace")
    try:
        write_whole(path, data)
    except OSError as error:
        raise _refused(option, path, error.strerror or str(error)) from None


def check_asked(option: str, path: Path | None) -> None:
    """Before the work of which the result goes there. Raises InputError where there is no such folder."""
    if path is not None and not path.parent.is_dir():
        raise _refused(option, path, os.strerror(errno.ENOENT))


def _refused(option: str, path: Path, why: str) -> InputError:
    return InputError(f"{option} {visible(str(path))}: cannot be written: {why}", hint="name another file")
