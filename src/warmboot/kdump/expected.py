"""How large a dump of this computer would be, as its memory is used now: before compression, so at most."""

from __future__ import annotations

from pathlib import Path

__all__ = ["expected_size"]

# What each bit of a dump level leaves out, by the names in /proc/meminfo (proc(5)); zeros are not counted there.
_LEFT_OUT = {2: ("Cached", "Buffers"), 4: ("SwapCached",), 8: ("AnonPages",), 16: ("MemFree",)}
_KEPT_CACHE = ("Shmem",)  # it is among Cached, and a dump has it as memory of processes or cache


def expected_size(level: int, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes of the pages that a dump of that level keeps, and a sixteenth more; None where the kernel does not tell."""
    try:
        lines = meminfo.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    told = {}
    for line in lines:
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            told[name] = int(words[0]) << 10
    if "MemTotal" not in told:
        return None
    out = sum(told.get(name, 0) for bit, names in _LEFT_OUT.items() if level & bit for name in names)
    if level & 2:
        out -= sum(told.get(name, 0) for name in _KEPT_CACHE)
    kept = max(told["MemTotal"] - out, told["MemTotal"] // 64)
    return kept + kept // 16
