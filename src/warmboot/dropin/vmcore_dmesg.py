"""The `vmcore-dmesg` drop-in: the log of a dump, as kexec-tools' program prints it, with its exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from warmboot.dropin.output import shown
from warmboot.errors import WarmbootError

__all__ = ["run"]

_USAGE, _CANNOT_OPEN, _NO_DUMP, _NO_LOG, _NO_OUTPUT = 1, 2, 4, 1, 54
_SPACE = b"\t\n\v\f\r"
_ESCAPES = [bytes([each]) if 0x20 <= each < 0x7F or each in _SPACE else b"\\x%02x" % each for each in range(256)]


def run(argv: Sequence[str]) -> int:
    """Print the log of the dump that `argv` names; the exit status."""
    if len(argv) != 2:
        sys.stderr.write(f"usage: {shown(argv[0])} <kernel core file>\n")
        return _USAGE
    try:
        with Path(argv[1]).open("rb"):
            pass
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Cannot open {shown(argv[1])}: {getattr(error, 'strerror', error)}\n")
        return _CANNOT_OPEN
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - what follows takes longer

    try:
        source = open_dump(Path(argv[1]))
    except WarmbootError as error:
        sys.stderr.write(f"{shown(str(error))}\n")
        return _NO_DUMP
    from warmboot.dump.log import log_records  # noqa: PLC0415

    try:
        for record in log_records(source, marks=True):
            if record.time is None:
                _put(record.text)
                continue
            seconds, rest = divmod(record.time, 1_000_000_000)
            line = b"[%5d.%06d] " % (seconds, rest // 1000) + b"".join(map(_ESCAPES.__getitem__, record.text)) + b"\n"
            _put(line)
        _put(b"")
    except WarmbootError as error:
        with suppress(OSError):
            _put(b"")
        sys.stderr.write(f"{shown(str(error))}\n")
        return _NO_LOG
    except BrokenPipeError:  # whoever reads it has seen enough
        return _NO_OUTPUT
    except OSError as error:
        sys.stderr.write(f"Failed to write out the dmesg log buffer!: {error.strerror}\n")
        return _NO_OUTPUT
    return 0


_waiting = bytearray()


def _put(line: bytes) -> None:
    """Write lines in large pieces; an empty one is the end. Raises OSError."""
    _waiting.extend(line)
    if not line or len(_waiting) > 1 << 16:
        while _waiting:
            del _waiting[: os.write(1, _waiting)]
