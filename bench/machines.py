"""How the cost of a rehearsal grows with the machine's memory: time and peak memory, up to the entry point.

    python bench/machines.py [SIZE ...]

Each size is rehearsed in a process of its own, with a real kernel and no boot; the first is what the others are
compared with. The last line is the largest size on a processor without 1 GiB pages, whose page tables are 512 times
as large.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass, replace

from warmboot.debian import kernel
from warmboot.memmap import Facts, parse_size
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse

_SIZES = ("1G", "64G", "1T", "2T", "12T", "64T")


@dataclass(frozen=True)
class _Cost:
    seconds: float
    peak: int  # MiB


def _rehearse(facts: Facts) -> _Cost:
    began = time.perf_counter()
    result = rehearse(Options(kernel("6.12"), facts, boot=False))
    assert result.exit_status == 0, result.verdict
    return _Cost(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def main() -> int:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sizes", metavar="SIZE", nargs="*", default=_SIZES, help="bytes of memory, such as 64G (default: %(default)s)"
    )
    machines = [(size, Facts.of_pc(parse_size(size))) for size in parser.parse_args().sizes]
    name, largest = machines[-1]
    machines.append((f"{name} *", replace(largest, gbpages=False)))
    print("memory     seconds   ratio   peak MiB   more")
    first: _Cost | None = None
    for name, facts in machines:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            cost = pool.apply(_rehearse, (facts,))
        first = first or cost
        print(
            f"{name:8}{cost.seconds:10.2f}{cost.seconds / first.seconds:8.2f}{cost.peak:11}{cost.peak - first.peak:+7}"
        )
    print("* without 1 GiB pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
