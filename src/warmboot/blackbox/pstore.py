"""The log of a kernel that is gone, as pstore has kept it: ramoops' region of RAM outlives a warm reset.

What the kernel's consoles printed is a file console-ramoops-0, what it logged before a panic a file dmesg-ramoops-N or
dmesg-efi_pstore-N (Documentation/admin-guide/ramoops.rst). systemd-pstore moves them away when the next system boots.
"""

from __future__ import annotations

import os
import re

from warmboot.blackbox.last_words import LastWords
from warmboot.live.files import folder, under

__all__ = ["words_in_pstore"]

_PLACES = ("sys/fs/pstore", "var/lib/systemd/pstore")
_NAME = re.compile(r"(?:console-|dmesg-).*")
_BANNER = re.compile(r"Linux version \S+ \(")
_RELEASE = re.compile(r"Linux version (\S+) \(|\bTainted: .* (\S+) #\d|\bNot tainted (\S+) #\d")
_STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
_LARGEST = 4 << 20  # bytes of a file
_MOST_FILES = 1000


def words_in_pstore(release: str, since: float, root: str = "/") -> LastWords | None:
    """The log of a kernel of that release, its lines without their time stamps.

    `since` is Unix time: what was written before is of an older kernel. A console's file has the boots before, too: the
    log begins at the last banner in it. The longest log counts, as a panic's record is the end of it.
    """
    logs = (LastWords(path, _log(path, release)) for path in _files(root, since))
    best = max(logs, key=lambda each: len(each.lines), default=None)
    return best if best is not None and best.lines else None


def _files(root: str, since: float) -> list[str]:
    found = []
    for place in _PLACES:
        base = under(root, place)
        for name in folder(base):
            path = f"{base}/{name}"
            inner = [f"{path}/{each}" for each in folder(path)] if os.path.isdir(path) else [path]  # noqa: PTH112
            found += [each for each in inner if _NAME.fullmatch(each.rpartition("/")[2]) and _is_newer(each, since)]
    return found[:_MOST_FILES]


def _is_newer(path: str, since: float) -> bool:
    try:
        return os.stat(path).st_mtime >= since  # noqa: PTH116
    except OSError:
        return False


def _log(path: str, release: str) -> tuple[str, ...]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            data = file.read(_LARGEST)
    except OSError:
        return ()
    lines = [_STAMP.sub("", each.rstrip("\r")) for each in data.decode("utf-8", "replace").split("\n")]
    lines = [each for each in lines if each]
    begin = max((index for index, each in enumerate(lines) if _BANNER.match(each)), default=0)
    lines = lines[begin:]
    named = (next(filter(None, each.groups())) for each in map(_RELEASE.search, lines) if each is not None)
    return tuple(lines) if next(named, None) == release else ()
