"""`kexec`: kexec-tools' command line. What it does is in `dropin`."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enums of these, which costs more than all of -v
import os
import sys

from warmboot.dropin.run import run

__all__ = ["main"]


def main() -> int:
    """Run the command line; the exit status."""
    for number in (_signal.SIGINT, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_DFL)  # end as any program in C does
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  # a file's name may be any bytes
    status = run([os.path.basename(sys.argv[0]), *sys.argv[1:]])  # noqa: PTH119
    sys.stdout.flush()
    return status
