"""How many recorded calls a second the model answers, on one core; and that it agrees on each.

    python bench/replay.py [TRACE]... [--runs N]

Without a trace: those of the tests, and small images made on the spot. Reading the trace is counted too, and the
images are really loaded: each call allocates, writes page tables, page lists and data, and frees. Recorded traces have
larger images, so that memory's speed decides.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.kernel import Told
from warmboot.memmap import Facts
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.read_trace import read_header, read_rows
from warmboot.oracle.calls.replay import Player, replay
from warmboot.oracle.calls.trace import Buffer, KexecLoad, TraceSegment
from warmboot.oracle.calls.write_trace import format_header, format_row

_TRACES = Path(__file__).parent.parent / "tests" / "traces"
_X86_64 = 62 << 16
_SMALL = "small images"
_WANTED = 20000  # calls a second, of small images, on one core


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


def _measure(name: str, lines: list[str], runs: int, figures: Figures) -> tuple[int, int]:
    """Print the median rate; how many calls were compared in one run, and on how many of them the model disagreed."""
    rates, seconds = [], []
    loaded = 0

    def count(size: int) -> None:
        nonlocal loaded
        loaded += size

    for run in range(1 + runs):  # the first, not timed, tells how many bytes are loaded
        began = time.process_time()
        observer = None if run else Told(progress=count)
        with Player(read_header(lines[0], name)) as player, player.kernel.observed(observer):
            results = list(replay(player, read_rows(lines[1:], name)))
        if run:
            seconds.append(time.process_time() - began)
            rates.append(len(results) / seconds[-1])
    disagree = sum(each is not None for each in results)
    rate = statistics.median(rates)
    wanted = _WANTED if name == _SMALL else None
    figures.add(f"replay of {name}", rates, "calls a second", more=True, wanted=wanted)
    figures.add(f"replay of {name}, answers that differ from real Linux's", disagree, "calls", wanted=0)
    target = f", {rate / _WANTED:.2f} x the {_WANTED:,} wanted" if name == _SMALL else ""
    print(
        f"{name}: {len(results):,} calls compared, {disagree} disagree, {rate:,.0f} calls a second"
        f" ({min(rates):,.0f} to {max(rates):,.0f}){target};"
        f" {loaded >> 20:,} MiB loaded, {(loaded >> 20) / statistics.median(seconds):,.0f} a second"
    )
    return len(results), disagree


def main() -> int:
    """Print the figures; the status is 1 where the model disagreed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="*", type=Path, metavar="TRACE")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    figures_option(parser)
    args = parser.parse_args()
    figures = Figures()
    done = [] if args.traces else [_measure(_SMALL, _small_images(), args.runs, figures)]
    for path in args.traces or sorted(_TRACES.glob("*.xz")):
        done.append(_measure(path.name, list(read_lines(str(path))), args.runs, figures))
    figures.write(args.json)
    compared, disagree = (sum(each) for each in zip(*done, strict=True))
    print(f"{compared:,} calls compared, {disagree} disagree")
    return 0 if compared and not disagree else 1


if __name__ == "__main__":
    sys.exit(main())
