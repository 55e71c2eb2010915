"""What file-loaded kernels find, under real Linux and under the model: registers, parameters, kernel, initrd.

    python bench/file_witness.py [SERIES]... [--images N] [--crash N] [--seed N] [--machine NAME]... [--load VMLINUZ]...

SERIES are of Debian's kernels: 6.1, 6.12, 7.2 (default: all). The images are dealt out to machines of many kinds, each
of which boots once; those with EFI need OVMF. Images have headers of their own, or those of 5.10, 6.1, 6.12, 7.2 and
of each VMLINUZ. The status is 0 only where nothing differs and no kind of machine was left out for want of images.
An image takes two to four seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from warmboot.debian import KERNELS, kernel
from warmboot.errors import WarmbootError
from warmboot.oracle.witness.file_machines import FILE_MACHINES, FileMachine
from warmboot.oracle.witness.file_witness import FileWitness


def asked(
    series: str, machine: FileMachine, numbers: dict[bool, range], seed: int, kernels: list[Path]
) -> Counter[str]:
    """Every image of one machine: how many agree, differ, and are refused alike; each difference is printed."""
    found: Counter[str] = Counter()
    start = time.monotonic()
    with FileWitness(kernel(series), machine, kernels=kernels) as witness:
        for crash, each in numbers.items():
            for number in each:
                layout = witness.layout(seed, number, crash=crash)
                told = witness.ask(layout)
                kind = "differ" if told.differences else "refused alike" if told.refused else "agree"
                found[f"crash images {kind}" if crash else kind] += 1
                what = f"{series}, {machine.name}: {'crash ' if crash else ''}image {number} ({layout.name})"
                for difference in told.differences:
                    print(f"{what}: {difference}", flush=True)
                if told.refused:
                    print(f"{what}: {told.refused} by both", flush=True)
    print(f"{series}, {machine.name}: {_shown(found)}; {time.monotonic() - start:.0f} s", flush=True)
    return found


def main() -> int:
    """Print a line for each machine and each kernel, and each difference."""
    names = [each.name for each in FILE_MACHINES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", metavar="SERIES", default=["6.1", "6.12", "7.2"])
    parser.add_argument("--images", type=int, default=3 * len(names), metavar="N", help="for each kernel")
    parser.add_argument("--crash", type=int, default=2 * len(names), metavar="N", help="crash images, likewise")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--machine", action="append", choices=names, help="only these kinds")
    parser.add_argument("--load", action="append", type=Path, default=[], metavar="VMLINUZ", help="one more header")
    args = parser.parse_args()
    kernels = [*map(kernel, KERNELS), *args.load]
    machines = [each for each in FILE_MACHINES if each.name in (args.machine or names)]
    good = True
    for series in args.series:
        found: Counter[str] = Counter()
        for at, machine in enumerate(machines, 1):
            numbers = {
                crash: range(at, count + 1, len(machines))
                for crash, count in ((False, args.images), (True, args.crash))
            }
            good &= all(numbers.values())
            try:
                found += asked(series, machine, numbers, args.seed, kernels)
            except WarmbootError as error:
                print(f"{series}, {machine.name}: {error}", flush=True)
                good = False
        print(f"{series}: {found.total()} images on {len(machines)} machines: {_shown(found)}", flush=True)
        good &= not any("differ" in kind for kind in found)
    return 0 if good else 1


def _shown(found: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
