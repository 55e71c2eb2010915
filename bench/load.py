"""The model's load throughput and memory, against copying the same bytes once into fresh memory of the same kind.

    python bench/load.py [--size MiB] [--runs N]

Each run loads an initrd of that size, and copies the same bytes with one memory copy into a fresh shared mapping; the
two take turns, in processes of their own. Then a machine of 1 TiB is made and loaded into.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from warmboot.images import identify_bytes, map_file
from warmboot.machines.machine import Machine
from warmboot.placement import PlaceOptions, place
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

_MIB = 1 << 20


def _private_kib() -> int:
    """Memory that only this process holds, in KiB; neither files nor the machine's shared memory are in it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def _load(initrd: str, memory: int) -> dict[str, float]:
    """Make a machine, place the demo kernel with this initrd, and load it: seconds of each, and what is held."""
    before = _private_kib()
    began = time.monotonic()
    with Machine.of_pc(memory) as machine:
        made = time.monotonic()
        image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
        placement = place(image, machine.facts, PlaceOptions(initrds=[map_file(initrd)]))
        placed = time.monotonic()
        machine.kernel.kexec_load(placement.request)
        loaded = time.monotonic()
        held = _private_kib() - before
        assert machine.kernel.kexec_image is not None
        pages = machine.kernel.kexec_image.nr_pages
    return {"make": made - began, "place": placed - made, "load": loaded - placed, "held_kib": held, "pages": pages}


def _copy(source: str) -> dict[str, float]:
    """Copy the file's bytes once, from its mapping into a fresh shared mapping of memory."""
    data = map_file(source)
    target = os.memfd_create("copy")
    os.ftruncate(target, data.nbytes)
    fresh = mmap.mmap(target, data.nbytes)
    began = time.monotonic()
    fresh[:] = data
    return {"copy": time.monotonic() - began}


def _in_own_process(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="MiB of the initrd (default: 512)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--only", nargs=3, metavar=("load|copy", "FILE", "MEMORY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        what, file, memory = args.only
        print(json.dumps(_load(file, int(memory)) if what == "load" else _copy(file)))
        return 0

    with tempfile.NamedTemporaryFile() as initrd:
        block = os.urandom(_MIB)
        for _ in range(args.size):
            initrd.write(block)
        initrd.flush()
        memory = str(max(2 << 30, 3 * args.size * _MIB))
        _in_own_process("--only", "copy", initrd.name, memory)  # not counted: the first touch of this computer's memory
        ratios = []
        for _ in range(args.runs):
            ours, theirs = (_in_own_process("--only", what, initrd.name, memory) for what in ("load", "copy"))
            ratios.append(theirs["copy"] / ours["load"])
            print(
                f"{args.size} MiB: load {ours['load']:.3f} s ({args.size / ours['load']:.0f} MiB/s),"
                f" one copy {theirs['copy']:.3f} s ({args.size / theirs['copy']:.0f} MiB/s), ratio {ratios[-1]:.2f},"
                f" held beyond the machine's memory {ours['held_kib'] / 1024:.1f} MiB"
            )
        print(f"median throughput ratio {statistics.median(ratios):.2f} (at least 0.8 wanted)")

        tib = _in_own_process("--only", "load", initrd.name, str(1 << 40))
        small = _in_own_process("--only", "load", __file__, str(1 << 40))
    for name, figures in ((f"{args.size} MiB initrd", tib), ("small initrd", small)):
        print(
            f"1 TiB machine, {name}: {figures['make'] + figures['place'] + figures['load']:.3f} s:"
            f" made in {figures['make']:.3f} s, placed in {figures['place']:.3f} s,"
            f" loaded in {figures['load']:.3f} s ({int(figures['pages'])} pages),"
            f" held {figures['held_kib'] / 1024:.1f} MiB"
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process, the mapped initrd included: {peak:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
