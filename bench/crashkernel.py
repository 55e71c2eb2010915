"""What `warmboot crashkernel` finds, against exhaustive trying: every 4 MiB from 48 MiB below its answer to 16 above.

    python bench/crashkernel.py [--series 6.1,6.12,7.2] [--initrd MIB]

Every size is really tried. Prints the smallest size from which on all work, the answer, and the difference; exit
status 1 where that is more than 16 MiB. --initrd adds so many MiB of random bytes to a capture initrd.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from warmboot.debian import cpio, kernel
from warmboot.errors import ExitStatus
from warmboot.rehearsal.capture.options import CrashOptions
from warmboot.rehearsal.capture.search import STEP, find_crashkernel, tried

_MIB = 1 << 20
_BELOW, _ABOVE = 48 * _MIB, 16 * _MIB
_MOST = 16 * _MIB


def _initrd(folder: str, size: int) -> list[Path]:
    if not size:
        return []
    path = Path(folder, "initrd")
    script = b"#!/warmboot/busybox sh\nwhile :; do /warmboot/busybox sleep 1; done\n"
    random = cpio.file("large", os.urandom(size))
    path.write_bytes(cpio.archive([cpio.file("init", script, 0o755), cpio.device("dev/console", 5, 1), random]))
    return [path]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="6.1,6.12,7.2")
    parser.add_argument("--initrd", type=int, default=0, metavar="MIB")
    args = parser.parse_args()
    good = True
    for series in args.series.split(","):
        with tempfile.TemporaryDirectory() as folder:
            options = CrashOptions(kernel(series), capture_initrds=_initrd(folder, args.initrd * _MIB), timeout=120)
            began = time.monotonic()
            found = find_crashkernel(options)
            seconds = time.monotonic() - began
            works = {
                size: tried(options, size, timeout=60).exit_status is ExitStatus.DONE
                for size in range(max(16 * _MIB, found.smallest - _BELOW), found.smallest + _ABOVE + 1, STEP)
            }
        took = time.monotonic() - began - seconds
        failing = [size for size, worked in works.items() if not worked]
        smallest = max(failing, default=0) + STEP
        difference = found.smallest - smallest
        good &= abs(difference) <= _MOST
        print(
            f"{series:6} initrd {args.initrd} MiB: found {found.smallest // _MIB} MiB in {seconds:.0f} s"
            f" ({len(found.trials)} tries); exhaustive {smallest // _MIB} MiB in {took:.0f} s ({len(works)} tries);"
            f" difference {difference // _MIB} MiB (at most 16 wanted); {found.crashkernel}",
            flush=True,
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
