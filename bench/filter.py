"""Which pages warmboot's filter keeps, against makedumpfile's, at all 32 dump levels of four kernels: 128 cells.

    python bench/filter.py [--series 6.12] [--tool sid|bookworm]

For each cell: the pages that both keep, and how many only one of them keeps. Each page that differs is then told: what
its struct page says, which rule decides here, and whether it is the head or the tail of a block. Debian's sid has the
newest makedumpfile, bookworm (Debian 12) has 1.7.2. Exit status 1 if sid's keeps a page that is left out here: what is
kept too much costs room, what is left out wrongly is lost.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.kdump_files import KdumpFile
from support.makedumpfile import makedumpfile, run_makedumpfile
from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.page_filter import PageFilter
from warmboot.dump.page_rules import Rule

SERIES = ("5.10", "6.1", "6.12", "7.2")
_LEVELS = range(32)


def rules_of(source: ElfCore, level: int) -> tuple[PageFilter, np.ndarray[tuple[int], np.dtype[np.uint8]]]:
    """The filter, and the rule of every frame at a level."""
    pages = PageFilter(source, level)
    found = np.full(pages.end, Rule.HOLE, np.uint8)
    for section in pages.sections():
        found[section.first : section.first + len(section.rules)] = np.frombuffer(section.rules, np.uint8)
    return pages, found


def _told(pages: PageFilter, pfn: int) -> str:
    """What a page is, by its struct page and its block's first page."""
    page, layout = pages.struct_page(pfn), pages.layout
    if page is None or layout is None or layout.compound is None:
        return "struct page is not in the dump"
    tail = bool(page[layout.compound] & 1)
    head = pages.rule_and_head(pfn)[1] or pfn
    first = pages.struct_page(head) or page
    mapcount = int.from_bytes(first[layout.mapcount : layout.mapcount + 4], "little")
    flags = int.from_bytes(first[layout.flags : layout.flags + 8], "little")
    anonymous = "its mapping looks anonymous" if page[layout.mapping] & 1 else "mapping is not anonymous"
    slab = (layout.slab is not None and mapcount & layout.slab.mask == layout.slab.value) or flags & layout.slab_flag
    kind = (
        "slab" if slab else f"type {mapcount >> 24:#x}" if mapcount >> 28 == 0xF and mapcount != 0xFFFFFFFF else "page"
    )
    cache = ", on an LRU list" if flags & layout.lru else ""
    return f"{'tail' if tail else 'head'} of a {kind}{cache}, {anonymous}"


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", action="append", choices=SERIES, help="(default: all four)")
    parser.add_argument("--tool", action="append", choices=("sid", "trixie", "bookworm"), help="(default: all)")
    args = parser.parse_args()
    worst = 0
    for suite in args.tool or ("sid", "trixie", "bookworm"):
        version = subprocess.run([*makedumpfile(suite), "-v"], capture_output=True, text=True, check=True).stdout
        print(f"\n{version.splitlines()[0]}, of {suite}")
        for series in args.series or SERIES:
            worst = max(worst, _series(series, suite))
    return worst


def _series(series: str, suite: str) -> int:
    path, source = vmcore(series), ElfCore(vmcore(series))
    print(f"\nLinux {source.vmcoreinfo.release}: kept by both, only here, only by makedumpfile; our filter's time")
    reasons: Counter[str] = Counter()
    differing, lost = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for level in _LEVELS:
            out = Path(folder) / "out"
            done = run_makedumpfile("-f", "-l", "-d", str(level), path, out, suite=suite)
            if done.returncode:
                print(f"  {level:2}  makedumpfile failed: {done.stderr.decode(errors='replace').strip()[-100:]}")
                continue
            dumped = KdumpFile.of(out).dumped != 0
            began = time.monotonic()
            pages, rules = rules_of(source, level)
            took = time.monotonic() - began
            kept = rules < Rule.HOLE
            ours, theirs = np.flatnonzero(kept & ~dumped), np.flatnonzero(~kept & dumped)
            mark = "" if not len(ours) and not len(theirs) else "  differs"
            print(
                f"  {level:2}  {np.count_nonzero(kept & dumped):7} {len(ours):6} {len(theirs):6}  "
                f"{1000 * took:5.1f} ms{mark}"
            )
            differing += bool(mark)
            lost += len(theirs)
            reasons.update(f"kept here alone:  {_told(pages, pfn)}" for pfn in ours.tolist())
            reasons.update(
                f"kept there alone: {_told(pages, pfn)} ({Rule(int(rules[pfn])).name.lower()} here)"
                for pfn in theirs.tolist()
            )
    print(f"  {len(_LEVELS) - differing} of {len(_LEVELS)} levels are equal")
    for reason, count in reasons.most_common():
        print(f"  {count:7} pages (over all levels) {reason}")
    return int(lost > 0 and suite == "sid")


if __name__ == "__main__":
    sys.exit(main())
