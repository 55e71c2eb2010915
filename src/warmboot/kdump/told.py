"""What a capture kernel says of its dump, where it outlives the machine: the console, the kernel's log, pstore.

/dev/kmsg is the kernel's log, which the console shows. pstore keeps the log of a kernel that panics, and with
printk.always_kmsg_dump=1, which kdump's command line has, also of one that reboots or powers off (Linux 3.4's
kmsg_dump, documented in Documentation/admin-guide/kernel-parameters.txt). /dev/pmsg0 (CONFIG_PSTORE_PMSG, 4.0) is
written to pstore at once; Debian's kernels have none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["TOLD", "tell"]

TOLD = Path("run/warmboot-kdump-told")  # there once it is told how it went, for whoever started us
_LONGEST = 800  # bytes: a record of the log has 1024 at most (LOG_LINE_MAX)
_LEVEL = 2  # KERN_CRIT: on the console whatever `quiet` says


def tell(text: str, root: Path = Path("/")) -> tuple[str, ...]:
    """Say it; the files that took it. `root` is where /dev and /run are found."""
    line = b"warmboot kdump: " + " ".join(text.split()).encode("utf-8", "replace")[:_LONGEST] + b"\n"
    took = []
    for name, data in (("dev/kmsg", b"<%d>" % _LEVEL + line), ("dev/pmsg0", line)):
        path = root / name
        with suppress(OSError):
            file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # never made: devtmpfs has it, or nobody
            try:
                os.write(file, data)
            finally:
                os.close(file)
            took.append(f"/{name}")
    with suppress(OSError):
        (root / TOLD).write_bytes(line)
    return tuple(took)
