"""What makedumpfile prints, by message level: progress and errors to stderr, the rest to stdout (-F: to stderr)."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from warmboot.dropin.makedumpfile.command import COMMON, ERROR, PROGRESS, REPORT
from warmboot.dropin.output import shown

if TYPE_CHECKING:
    from warmboot.dump.save import Saved

__all__ = ["Messages"]

_SPINNER = "/|\\-"


class Messages:
    """Prints what `level`, a sum of kinds, lets through."""

    def __init__(self, level: int, *, to_stderr: bool = False) -> None:
        self.level: int = level
        self.to_stderr: bool = to_stderr
        self._began = time.monotonic()
        self._next, self._turn = 0.0, 0

    def common(self, text: str) -> None:
        """A message for everyone."""
        if self.level & COMMON:
            self._out(text)

    def error(self, text: str) -> None:
        """An error, one line without its end."""
        if self.level & ERROR:
            sys.stderr.write(f"{shown(text)}\n")

    def progress(self, done: int, total: int, written: int) -> None:
        """How far copying is, once a second, and at the end."""
        del written
        now = time.monotonic()
        if not self.level & PROGRESS or (now < self._next and done < total):
            return
        self._next = now + 1
        passed = now - self._began
        left = int(passed * (total - done) / done) if done else 0
        permille = 1000 * done // max(1, total)
        spinner = _SPINNER[self._turn % 4]
        self._turn += 1
        sys.stderr.write(
            f"\r{'Copying data':50}: [{permille // 10:3}.{permille % 10} %] {spinner}  {f'eta: {_span(left)}':>16}"
        )
        if done >= total:
            sys.stderr.write("\n")

    def report(self, saved: Saved, total: int) -> None:
        """What became of every page; `total` are all frames. Pages that two segments name count once."""
        if not self.level & REPORT:
            return
        pages = saved.pages
        hole = pages.get("hole", 0)
        present = sum(pages.values()) - hole
        left_out = {
            "Pages filled with zero  ": pages.get("zero", 0),
            "Non-private cache pages ": pages.get("cache", 0),
            "Private cache pages     ": pages.get("cache_private", 0),
            "User process data pages ": pages.get("user", 0) + pages.get("hugetlb", 0),
            "Free pages              ": pages.get("free", 0) + pages.get("unaccepted", 0),
            "Hwpoison pages          ": pages.get("hwpoison", 0),
            "Offline pages           ": pages.get("offline", 0),
        }
        excluded = sum(left_out.values())
        remaining = present - excluded
        lines = [
            "",
            f"Original pages  : {present:#018x}",
            f"  Excluded pages   : {excluded:#018x}",
            *(f"    {name}: {count:#018x}" for name, count in left_out.items()),
            f"  Remaining pages  : {remaining:#018x}",
            f"  (The number of pages is reduced to {100 * remaining // max(1, present)}%.)",
            f"Memory Hole     : {total - present:#018x}",
            "-" * 50,
            f"Total pages     : {total:#018x}",
            f"Write bytes     : {saved.bytes}",
            "",
            "",
        ]
        self._out("\n".join(lines))

    def usage_of_memory(self, saved: Saved) -> None:
        """The table of --mem-usage."""
        pages = saved.pages
        rows = (
            ("ZERO\t\t", pages.get("zero", 0), "yes", "Pages filled with zero"),
            ("NON_PRI_CACHE\t", pages.get("cache", 0), "yes", "Cache pages without private flag"),
            ("PRI_CACHE\t", pages.get("cache_private", 0), "yes", "Cache pages with private flag"),
            ("USER\t\t", pages.get("user", 0) + pages.get("hugetlb", 0), "yes", "User process pages"),
            ("FREE\t\t", pages.get("free", 0) + pages.get("unaccepted", 0), "yes", "Free pages"),
            ("KERN_DATA\t", pages.get("kept", 0) + pages.get("unknown", 0), "no", "Dumpable kernel data "),
        )
        present = sum(count for _, count, _, _ in rows)
        lines = ["", "TYPE\t\tPAGES\t\t\tEXCLUDABLE\tDESCRIPTION", "-" * 70]
        lines += [f"{name}{count:<16}\t{can}\t\t{what}" for name, count, can, what in rows]
        lines += [
            "",
            f"page size:\t\t{saved.page_size:<16}",
            f"Total pages on system:\t{present:<16}",
            f"Total size on system:\t{present * saved.page_size:<16} Byte",
            "",
        ]
        self._out("\n".join(lines))

    def _out(self, text: str) -> None:
        (sys.stderr if self.to_stderr else sys.stdout).write(text)


def _span(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds // 60 % 60}m"
    return f"{seconds // 86400}d{seconds // 3600 % 24}h"
