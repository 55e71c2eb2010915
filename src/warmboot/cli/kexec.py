"""`kexec`: kexec-tools' command line. What it does is in `dropin`."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` makes enums of these, which costs more than all of -v
import os
import sys

from warmboot.dropin.output import Output
from warmboot.dropin.run import run
from warmboot.dropin.stop import EFAILED
from warmboot.streams import occupy_standard_descriptors

__all__ = ["main"]


def main() -> int:
    """Run the command line; the exit status."""
    for number in (_signal.SIGINT, _signal.SIGPIPE):
        _signal.signal(number, _signal.SIG_DFL)  # end as any program in C does
    occupy_standard_descriptors()
    sys.stdout, sys.stderr = Output(1), Output(2)
    try:
        return run([os.path.basename(sys.argv[0]), *sys.argv[1:]])  # noqa: PTH119
    except Exception:  # a fault of ours: 1, Python's own status for it, would say to the caller of -S "loaded"
        sys.excepthook(*sys.exc_info())
        return EFAILED & 0xFF
