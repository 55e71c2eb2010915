"""`vmcore-dmesg`: the drop-in's command line. What it does is in `dropin/vmcore_dmesg`."""

from __future__ import annotations

import signal
import sys

from warmboot.dropin.vmcore_dmesg import run
from warmboot.streams import occupy_standard_descriptors

__all__ = ["main"]


def main() -> int:
    """Run the command line; the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    occupy_standard_descriptors()
    return run(sys.argv)
