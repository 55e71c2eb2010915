"""What traces and witness come to in a real kernel: which basic blocks of kexec's files, and why not the others.

    python bench/coverage_of_linux.py [SERIES] [--calls N] [--seed N] [--only PLAY]... [--page FILE]

SERIES is of Debian's kernels (default: 6.12), whose package of symbols (-dbg, 320 MB) is fetched once. QEMU tells which
code its translator came to, under every configuration: generated calls of both kinds, two callers at once, jumps and
crashes; --calls is the number of calls in each. Blocks that nothing came to are looked up in bench/unreached, by
function and condition. The status is 0 only where the model disagrees nowhere, each of those is known, each row of that
table is needed, and at least 90 % of the reachable ones are reached. --page writes the tables into a page of the
documentation, below its line "<!-- tables -->". All takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from warmboot.debian import KERNELS, kernel, release
from warmboot.debian.symbols import symbols
from warmboot.machines.guest import GuestError
from warmboot.machines.translated import Translated, translated
from warmboot.oracle.reached.blocks import Block, blocks
from warmboot.oracle.reached.debug_file import DebugFile
from warmboot.oracle.reached.measure import Measured
from warmboot.oracle.reached.page import page, table
from warmboot.oracle.reached.plays import plays
from warmboot.oracle.reached.reasons import Reasons, key

_FILES = (
    "kernel/kexec.c",
    "kernel/kexec_core.c",
    "kernel/crash_core.c",
    "kernel/kexec_file.c",
    "arch/x86/kernel/kexec-bzimage64.c",
    "arch/x86/kernel/crash.c",
)
_UNREACHED = Path(__file__).parent / "unreached"
_WANTED = 0.9
_MARK = "<!-- tables -->"


def main() -> int:
    """Play, count, and print what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [each.name for each in plays()]
    tables = sorted(each.stem for each in _UNREACHED.glob("*.toml"))
    parser.add_argument("series", nargs="?", metavar="SERIES", default="6.12", choices=sorted({*KERNELS} & {*tables}))
    parser.add_argument("--calls", type=int, default=800, metavar="N", help="in each configuration (default: 800)")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--only", action="append", choices=names, metavar="PLAY", help=f"of: {'; '.join(names)}")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into that page")
    args = parser.parse_args()
    path = kernel(args.series)
    with DebugFile(symbols(args.series)) as debug:
        functions = debug.functions(_FILES)
        found = blocks(debug, functions)
    print(f"Linux {release(path)}: {len(found)} basic blocks", flush=True)
    told, compared, disagree = _play(
        path, args, Translated(piece for each in functions for piece in each.ranges), found
    )
    reasons = Reasons(_UNREACHED / f"{args.series}.toml")
    measured = Measured(found, told.has([each.start for each in found]), reasons)
    print("\n".join(table(measured)))
    good = compared > 0 and disagree == 0 and _known(measured)
    if args.page and good:
        played = f"{compared} calls and images in {len(args.only or names)} of {len(names)} configurations: "
        played += f"{disagree} disagreements with the model."
        text = args.page.read_text().partition(_MARK)[0] + _MARK
        args.page.write_text(page(text, release(path), measured, played))
    return 0 if good else 1


def _play(
    path: Path, args: argparse.Namespace, told: Translated, found: Sequence[Block]
) -> tuple[Translated, int, int]:
    """What the guests told, and how much was compared; a guest that fails is a disagreement."""
    compared = disagree = 0
    addresses = [each.start for each in found]
    for play in plays():
        if args.only and play.name not in args.only:
            continue
        began, before = time.monotonic(), len(told.has(addresses))
        try:
            with translated(told):
                counts = play.run(path, args.seed, args.calls)
        except GuestError as error:
            print(f"  {play.name}: {error}", flush=True)
            disagree += 1
            continue
        compared, disagree = compared + counts[0], disagree + counts[1]
        more, spent = len(told.has(addresses)) - before, time.monotonic() - began
        line = f"{counts[0]} compared, {counts[1]} disagree, {more} more blocks ({spent:.0f} s)"
        print(f"  {play.name}: {line}", flush=True)
    return told, compared, disagree


def _known(measured: Measured) -> bool:
    """Whether each block that was not come to has its reason, no reason is idle, and enough are reached."""
    for each in measured.unknown:
        function, offset = key(each)
        print(f"not reached, and no reason is known: {each} ({function!r} = [{offset}], in {each.inlined})")
    for function, offset in measured.idle:
        print(f"a reason without a block that is not reached: {function!r} = [{offset}]")
    rate = measured.count(*measured.files).rate
    print(f"{rate:.1%} of the reachable blocks are reached; {_WANTED:.0%} are wanted")
    return not measured.unknown and not measured.idle and rate >= _WANTED


if __name__ == "__main__":
    sys.exit(main())
