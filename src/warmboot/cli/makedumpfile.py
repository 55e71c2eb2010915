"""`makedumpfile`: the drop-in's command line. What it does is in `dropin/makedumpfile`."""

from __future__ import annotations

import os
import signal
import sys

from warmboot.dropin.makedumpfile.run import run
from warmboot.dropin.output import Output
from warmboot.streams import occupy_standard_descriptors

__all__ = ["main"]


def main() -> int:
    """Run the command line; the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    occupy_standard_descriptors()
    sys.stdout, sys.stderr = Output(1), _Progressing(2)
    try:
        return run([os.path.basename(sys.argv[0]), *sys.argv[1:]])  # noqa: PTH119
    except Exception:  # a fault of ours: its traceback, and the status of any failure
        sys.excepthook(*sys.exc_info())
        return 1


class _Progressing(Output):
    """Standard error, on which a line of progress begins with a carriage return."""

    def write(self, text: str) -> int:
        """As Output does, but for that one character."""
        if text.startswith("\r"):
            try:
                os.write(2, b"\r")
            except OSError:
                return len(text)
        return super().write(text.lstrip("\r"))
