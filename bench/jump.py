"""Kernel to kernel in one emulated guest: from "Starting new kernel" to the new kernel's first line and to user space,
loaded by warmboot's `kexec` and by kexec-tools, in turns; and how much of that is the purgatory's.

    python bench/jump.py [--sizes MiB,MiB] [--runs N] [--series 6.12]

Times are medians, in seconds. Ours of the purgatory's share is by its own time stamps, which `warmboot time` reads in
the new system. kexec-tools' purgatory keeps none: its share is what a jump takes longer than one that checks nothing
(`-i`), by the medians or by the shortest of each, whichever is less, as what an emulator translates anew makes some
jumps take seconds more. The guest's initial RAM disk has a file of so many MiB that no one can compress.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from support.journey import Journey, initial_ram_disk, kernel_file, travel
from warmboot.debian import cpio

_MIB = 1 << 20
_WAYS = (("ours", ""), ("ours", "--digest=sha256"), ("ours", "-i"), ("theirs", ""), ("theirs", "-i"))
_WANTED = 0.1  # of kexec-tools' share


@dataclass
class _Times:
    """Of one way, seconds since "Starting new kernel"; and those of the purgatory by its own stamps."""

    first: list[float] = field(default_factory=list)
    user: list[float] = field(default_factory=list)
    purgatory: list[float] = field(default_factory=list)


_TELL = "try warmboot time --json\n"


def _hop(tool: str, words: str, size: int) -> str:
    line = "$line loglevel=7 earlyprintk=serial,ttyS0,115200"
    return _TELL + (
        f'try {tool} -c {words} -l /stage/kernel --initrd=/stage/initrd-{size} --command-line="{line}"\n'
        f"dmesg -n 7\nrun {tool} -e -x\n"
    )


def _measure(journey: Journey, hop: int, times: _Times) -> None:
    """Add the times of the jump out of `hop`. Exits where it did not come to its end."""
    start = first = None
    for line, when in zip(journey.console, journey.times, strict=True):
        if f"@@ {hop} run " in line and " -e" in line:
            start = None
            first = None
        elif "Starting new kernel" in line:
            start, first = when, None
        elif "Linux version" in line and start is not None and first is None:
            first = when
        elif f"@@ {hop + 1} up" in line and start is not None and first is not None:
            times.first.append(first - start)
            times.user.append(when - start)
            times.purgatory += _stamped(journey.hops[hop + 1].text)
            return
    sys.exit(f"hop {hop} did not come to its end:\n{journey.last_words()}")


def _stamped(told: str) -> list[float]:
    """The purgatory's seconds, of what `warmboot time --json` told; none where it left no stamps."""
    document, _ = json.JSONDecoder().raw_decode(told[told.index("{") :])
    parts = document["stages"][0]["figures"]["this"]["parts"]
    return [each["seconds"] for each in parts if each["name"] == "purgatory"]


def _table(size: int, runs: int, series: str, figures: Figures) -> bool:
    kernel = kernel_file(series)
    ways = list(_WAYS) * runs
    noise = cpio.archive([cpio.file("noise", os.urandom(size * _MIB))])
    stage = {"kernel": kernel.read_bytes(), f"initrd-{size}": initial_ram_disk() + noise}
    scripts = [*(_hop(tool, words, size) for tool, words in ways), f"{_TELL}say end\n"]
    journey = travel(kernel, scripts, stage, memory=f"{max(1024, 6 * size)}M", timeout=900)
    found: defaultdict[tuple[str, str], _Times] = defaultdict(_Times)
    for hop, way in enumerate(ways):
        _measure(journey, hop, found[way])
    print(f"{size} MiB initrd, kernel {series}, {runs} jumps each: seconds to the first line, and to user space")
    names = {"ours": "warmboot", "theirs": "kexec-tools"}
    for way in _WAYS:
        first, user = statistics.median(found[way].first), statistics.median(found[way].user)
        print(f"  {names[way[0]] + ' ' + way[1]:26} {first:8.2f} {user:8.2f}")
    _keep(found, size, figures)
    stamped = found["ours", ""].purgatory
    if len(stamped) != runs:
        sys.exit(f"of {runs} jumps {len(stamped)} have told of the purgatory")
    with_, without = found["theirs", ""].first, found["theirs", "-i"].first
    its = min(of(with_) - of(without) for of in (statistics.median, min))
    ours = statistics.median(stamped)
    spread = f"{min(stamped):.3f} to {max(stamped):.3f}"
    print(f"  the purgatory's share: warmboot {ours:.3f} ({spread}), kexec-tools {its:.2f}; ratio {ours / its:.3f}")
    ratios = [each / its for each in stamped]
    figures.add("the purgatory's share of a jump against kexec-tools'", ratios, wanted=_WANTED, **_of(size))
    return ours <= _WANTED * its


def _of(size: int) -> dict[str, Any]:
    return {"amount": size, "of": "MiB"}


def _keep(found: Mapping[tuple[str, str], _Times], size: int, figures: Figures) -> None:
    ours, theirs = found["ours", ""], found["theirs", ""]
    for what, mine, its in (("the first line", ours.first, theirs.first), ("user space", ours.user, theirs.user)):
        ratios = [one / other for one, other in zip(mine, its, strict=True)]
        figures.add(f"a jump to {what} against kexec-tools", ratios, **_of(size))
        figures.add(f"a jump to {what}", mine, "s", **_of(size))


def main() -> int:
    """Print the tables; 0 only where the purgatory's share is a tenth of kexec-tools' at most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20,400", help="MiB of the initrds (default: 20,400)")
    parser.add_argument("--runs", type=int, default=5, help="jumps of each way (default: 5)")
    parser.add_argument("--series", default="6.12", help="Debian's kernel (default: 6.12)")
    figures_option(parser)
    args = parser.parse_args()
    figures = Figures()
    good = [_table(int(size), args.runs, args.series, figures) for size in args.sizes.split(",")]
    figures.write(args.json)
    print("all that was wanted is met" if all(good) else "NOT met: the purgatory's share is more than a tenth")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
