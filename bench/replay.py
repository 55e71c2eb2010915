"""How many recorded calls a second the model answers, on one core; and that it agrees on each.

    python bench/replay.py [TRACE]... [--runs N]

Without a trace: those of the tests, and small images made on the spot. Reading the trace is counted too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from random import Random

from warmboot.memmap import Facts
from warmboot.oracle.files import read_lines
from warmboot.oracle.replay import Player, replay
from warmboot.oracle.trace import Buffer, KexecLoad, TraceSegment, format_header, format_row, read_header, read_rows

_TRACES = Path(__file__).parent.parent / "tests" / "traces"
_X86_64 = 62 << 16


def _small_images(calls: int = 20000) -> list[str]:
    """A trace of images of one to three segments of a few pages, the model's own answers taken for Linux's."""
    facts = Facts.of_pc(1 << 30)
    random = Random(1)
    lines = [format_header(facts)]
    with Player(facts) as player:
        for _ in range(calls):
            mem, segments = 0x2000000, []
            for _ in range(random.choice((1, 1, 2, 3))):
                memsz = 4096 * random.choice((1, 1, 2, 4))
                segments.append(TraceSegment(Buffer(), memsz - 100, mem, memsz))
                mem += memsz
            call = KexecLoad("x86_64", 0x2000000, _X86_64, len(segments), tuple(segments))
            lines.append(format_row(call, player.play(call)))
    return lines


def _measure(name: str, lines: list[str], runs: int) -> bool:
    """Print the median rate; whether the model agreed on every call."""
    rates = []
    for _ in range(runs):
        began = time.process_time()
        with Player(read_header(lines[0], name)) as player:
            results = list(replay(player, read_rows(lines[1:], name)))
        rates.append(len(results) / (time.process_time() - began))
    disagree = sum(each is not None for each in results)
    print(
        f"{name}: {len(results)} calls, {disagree} disagree, {statistics.median(rates):,.0f} calls a second"
        f" ({min(rates):,.0f} to {max(rates):,.0f})"
    )
    return disagree == 0


def main() -> int:
    """Print the figures; the status is 1 where the model disagreed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="*", type=Path, metavar="TRACE")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    args = parser.parse_args()
    agreed = [] if args.traces else [_measure("small images", _small_images(), args.runs)]
    for path in args.traces or sorted(_TRACES.glob("*.xz")):
        agreed.append(_measure(path.name, read_lines(str(path)), args.runs))
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
