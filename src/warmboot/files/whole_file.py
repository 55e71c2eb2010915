"""Write a file: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write `data` to `path`, which keeps what it had where that fails. Raises OSError.

    `mode` are its permissions; those of a new file, by the process's umask, unless given. A device or a pipe, such as
    /dev/null and /dev/stdout, is written to and never replaced.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)
        return
    if mode is None:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as file:
        whole = Path(file.name)
        try:
            file.write(data)
            file.flush()
            whole.chmod(mode)
            whole.replace(path)
        except BaseException:
            whole.unlink(missing_ok=True)
            raise
