"""The hand-over in this process: instructions executed for each MiB loaded, and how fast it is.

    python bench/handover.py [--size MiB] [--runs N]

Relocation code and purgatory are counted apart and exactly, a repeated string instruction as one, at two sizes: the
instructions for each further MiB are what there is to compare. Then the hand-over of an initrd of --size MiB is timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import execute
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.handover import HandOver, hand_over

_MIB = 1 << 20
_COUNTED = (256 << 10, _MIB)  # bytes of the initrd


@dataclass(frozen=True)
class _Count:
    """Instructions of the two halves of one hand-over; `bytes` are those loaded, and those digested."""

    relocation: int
    purgatory: int
    loaded: int
    digested: int


def _loaded(machine: Machine, size: int) -> Placement:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    placement = place(image, machine.facts, PlaceOptions(initrds=[memoryview(os.urandom(size))]))
    machine.kernel.kexec_load(placement.request)
    return placement


def _count(size: int) -> _Count:
    with Machine.of_pc(256 * _MIB) as machine:
        placement = _loaded(machine, size)
        request = placement.request
        relocation = execute(machine.memory, machine.kernel.reboot(), until=request.entry, count=True)
        purgatory = execute(machine.memory, relocation.state, until=placement.kernel_entry, count=True)
        assert relocation.reached
        assert purgatory.reached
        return _Count(relocation.instructions or 0, purgatory.instructions or 0, request.memsz, placement.digest_size)


def _time(size: int) -> HandOver:
    with Machine.of_pc(max(256 * _MIB, 4 * size)) as machine:
        done = hand_over(machine, _loaded(machine, size))
        assert done.reached
        return done


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="MiB of the initrd whose hand-over is timed (default: 64)")
    parser.add_argument("--runs", type=int, default=5, help="timed runs (default: 5)")
    figures_option(parser)
    args = parser.parse_args()
    figures = Figures()

    counts = [_count(size) for size in _COUNTED]
    for size, count in zip(_COUNTED, counts, strict=True):
        relocation, purgatory = count.relocation / count.loaded, count.purgatory / count.digested
        print(
            f"initrd of {size >> 10} KiB: relocation {count.relocation} instructions for {count.loaded} bytes"
            f" ({relocation * _MIB:.0f} a MiB), purgatory {count.purgatory} for {count.digested}"
            f" ({purgatory * _MIB:.0f} a MiB)"
        )
    small, large = counts
    relocation = (large.relocation - small.relocation) / (large.loaded - small.loaded) * _MIB
    purgatory = (large.purgatory - small.purgatory) / (large.digested - small.digested) * _MIB
    figures.add("relocation, for each further MiB", relocation, "instructions")
    figures.add("purgatory with XXH64, for each further MiB", purgatory, "instructions")
    print(f"for each further MiB: relocation {relocation:.0f}, purgatory {purgatory:.0f} instructions")

    rates = []
    for _ in range(args.runs):
        done = _time(args.size * _MIB)
        rates.append(args.size / (done.relocation_seconds + done.purgatory_seconds))
        print(
            f"{args.size} MiB: relocation {done.relocation_seconds:.2f} s, purgatory {done.purgatory_seconds:.2f} s,"
            f" {rates[-1]:.0f} MiB/s"
        )
    figures.add("a hand-over executed in this process", rates, "MiB/s", more=True)
    print(f"median {statistics.median(rates):.0f} MiB/s")
    figures.write(args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
