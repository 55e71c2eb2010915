"""What /proc/cpuinfo tells of the processor."""

from __future__ import annotations

from warmboot.live.files import read, under

__all__ = ["la57"]


def la57(root: str = "/") -> bool:
    """Whether the running kernel uses 5-level page tables: it hides the flag where it does not (Linux 4.17).

    Only the first processor is looked at: the file takes long where there are hundreds. Raises OSError.
    """
    first, _, _ = read(under(root, "proc/cpuinfo"), until=b"\n\n").partition(b"\n\n")
    flags = next((line for line in first.split(b"\n") if line.startswith(b"flags")), b"")
    return b"la57" in flags.split()
