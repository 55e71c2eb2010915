"""What the pages really are that warmboot's filter and makedumpfile do not agree on, by drgn's word.

    python bench/pages.py [--series 7.2] [--tool sid]       (default: all that differ)

For each page that only one of them keeps, at any of the 32 levels, drgn with the kernel's full debug information
(300 MiB for each kernel) tells what it is: the type and the flags of its head, whether it is a tail. From that alone,
and from what the levels say (Documentation: makedumpfile(8)), follows whether it was to be kept. A page that neither
explains is counted as unexplained; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import drgn
import numpy as np
from drgn.helpers.linux.mm import PageCompound, PageTail, compound_head, compound_order, page_to_pfn, pfn_to_page

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from filter import rules_of  # type: ignore[import-not-found]  # beside this file

from support.kdump_files import KdumpFile
from support.kernels_debug import vmlinux
from support.makedumpfile import makedumpfile, run_makedumpfile
from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.page_rules import Level, Rule

_PAIRS = (("7.2", "sid"), ("7.2", "trixie"), ("7.2", "bookworm"), ("6.12", "trixie"), ("6.12", "bookworm"))
_ANON, _MAPPING_FLAGS = 1, 3  # PAGE_MAPPING_ANON, include/linux/page-flags.h
_ORDERS = 11  # NR_PAGE_ORDERS of x86-64
_FLAGS = ("lru", "swapcache", "swapbacked", "private", "slab", "hwpoison")


class Pages:
    """Pages of a dump as drgn tells them."""

    def __init__(self, series: str) -> None:
        self._program = drgn.Program()
        self._program.set_core_dump(str(vmcore(series)))
        self._program.load_debug_info([str(vmlinux(series))])
        names = dict(self._program.type("enum pageflags").enumerators or ())
        self._bits = {name: 1 << names[f"PG_{name}"] for name in _FLAGS if f"PG_{name}" in names}
        types = self._program.type("enum pagetype").enumerators or ()
        self._types = {value: name.removeprefix("PGTY_") for name, value in types}
        self.what: Callable[[int], tuple[str, int]] = cache(self._what)

    def _flags(self, page: drgn.Object) -> set[str]:
        word = page.flags
        word = int((word.f if word.type_.kind is drgn.TypeKind.STRUCT or hasattr(word, "f") else word).value_())
        return {name for name, bit in self._bits.items() if word & bit}

    def _in_free_block(self, pfn: int) -> bool:
        """Whether a free block of the buddy allocator, whose first page alone has the mark and the order, has it."""
        for order in range(1, _ORDERS):
            head = pfn_to_page(self._program, pfn & -1 << order)
            number = int(head.page_type.value_()) >> 24
            if self._types.get(number) == "buddy":
                return int(head.private.value_()) >= order
        return False

    def _what(self, pfn: int) -> tuple[str, int]:
        """What a page is, in words, and the bits of the dump level that leave it out: any of them does."""
        page = pfn_to_page(self._program, pfn)
        tail = bool(PageTail(page))
        head = compound_head(page)
        number = int(head.page_type.value_()) >> 24
        kind = self._types.get(number, "") if 0xF0 <= number < 0xFF else ""
        flags, mapping = self._flags(head), int(head.mapping.value_())
        place = ""
        if PageCompound(page):
            at = int(page_to_pfn(page)) - int(page_to_pfn(head))
            place = f"{'tail' if tail else 'head'} of a compound page of {1 << int(compound_order(head).value_())}"
            assert at < 1 << int(compound_order(head).value_())
        anonymous, cached = not kind and mapping & _MAPPING_FLAGS == _ANON, "lru" in flags
        if kind == "buddy":
            what, levels = "free", Level.FREE
        elif not kind and not PageCompound(page) and self._in_free_block(pfn):
            what, levels = "free, in a block that begins before it", Level.FREE
        elif kind == "hugetlb":
            what, levels = "hugetlb", Level.USER
        elif kind:
            what, levels = f"the kernel's: {kind}", Level(0)
        elif anonymous:
            what, levels = "a process's, anonymous", Level.USER
        elif cached or {"swapcache", "swapbacked"} <= flags:
            private = "private" in flags
            what = f"page cache{', private data' if private else ''}"
            levels = Level.CACHE_PRIVATE if private else Level.CACHE | Level.CACHE_PRIVATE
        else:
            what, levels = "the kernel's: no type, no mapping of a process, on no LRU list", Level(0)
        looks = int(page.mapping.value_()) & 1 and tail
        more = ", whose own page.mapping has bit 0 set" if looks else ""
        return ", ".join(filter(None, (what, place))) + more, int(levels)


def _compare(series: str, suite: str) -> int:
    """Print the kinds; how many pages are unexplained."""
    source, pages = ElfCore(vmcore(series)), Pages(series)
    counts: Counter[tuple[str, str, str]] = Counter()
    cells, frames = 0, set[int]()
    with tempfile.TemporaryDirectory() as folder:
        for level in range(32):
            out = Path(folder) / "out"
            done = run_makedumpfile("-f", "-l", "-d", str(level), vmcore(series), out, suite=suite)
            assert done.returncode == 0, done.stderr
            theirs = KdumpFile.of(out).dumped != 0
            ours = rules_of(source, level)[1] < Rule.HOLE
            different = np.flatnonzero(ours != theirs).tolist()
            cells += bool(different)
            frames.update(different)
            for pfn in different:
                what, levels = pages.what(pfn)
                wanted = not level & levels
                verdict = "unexplained"
                if bool(ours[pfn]) == wanted:
                    verdict = "makedumpfile drops it wrongly" if wanted else "makedumpfile keeps it without need"
                counts["warmboot" if ours[pfn] else "makedumpfile", what, verdict] += 1
    print(f"{cells} of 32 levels differ, in {len(frames)} pages; over all levels:")
    for (who, what, verdict), count in counts.most_common():
        print(f"  {count:7} kept by {who} alone: {verdict}: {what}")
    unexplained = sum(count for (_, _, verdict), count in counts.items() if verdict == "unexplained")
    print(f"  {unexplained:7} unexplained")
    return unexplained


def main() -> int:
    """Print the tables; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", choices=("6.12", "7.2"))
    parser.add_argument("--tool", choices=("sid", "trixie", "bookworm"))
    args = parser.parse_args()
    unexplained = 0
    for series, suite in _PAIRS:
        if args.series in (None, series) and args.tool in (None, suite):
            version = subprocess.run([*makedumpfile(suite), "-v"], capture_output=True, text=True, check=True).stdout
            print(f"\nLinux {ElfCore(vmcore(series)).vmcoreinfo.release}, {version.split(' (')[0]}", flush=True)
            unexplained += _compare(series, suite)
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
