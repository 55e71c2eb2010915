"""/proc/iomem of a running computer, read as kexec-tools reads it: what is not understood is left out."""

from __future__ import annotations

from warmboot.live.files import read, under
from warmboot.numbers import number

__all__ = ["crash_kernel", "resources"]


def resources(root: str = "/") -> list[tuple[int, int, str]]:
    """Start, end (after the last byte) and name of each line, at any depth, in order. Raises OSError.

    Readers without CAP_SYS_ADMIN see only zeros for addresses.
    """
    found = []
    for line in read(under(root, "proc/iomem")).decode("utf-8", "replace").split("\n"):
        place, colon, name = line.partition(" : ")
        start, dash, end = place.partition("-")
        first, last = number(start.strip(), 16), number(end.strip(), 16)
        if colon and dash and first is not None and last is not None and first <= last:
            found.append((first, last + 1, name))
    return found


def crash_kernel(root: str = "/") -> list[tuple[int, int]]:
    """The crash reservations, start and end (after the last byte), lowest first; the last one takes crash kernels.

    Raises OSError.
    """
    return [(start, end) for start, end, name in resources(root) if name == "Crash kernel"]
