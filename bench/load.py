"""The model's load throughput and memory, against copying the same bytes once into fresh memory of the same kind.

    python bench/load.py [--sizes MiB,MiB] [--runs N]

Each run loads an initrd of that size, and copies the same bytes with one memory copy into a fresh shared mapping; the
two take turns, in processes of their own; what is small is done several times there, of which the fastest counts.
Ratios are of wall time and of processor time, which is steadier on a busy computer. Initrds of more than 512 MiB are
sparse files; all are in the page cache.
Then a machine of 1 TiB is made and loaded into. A size that this computer has no memory for is left out.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.images import identify_bytes, map_file
from warmboot.machines.machine import Machine
from warmboot.placement import PlaceOptions, place
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

_MIB = 1 << 20
_RANDOM = 512  # MiB of an initrd that is written; more than that is sparse
_REPEATED = 256 * _MIB  # bytes that are loaded, or copied, in one process at least
_WANTED = 0.9  # of a copy's throughput


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
        placed, spent = time.monotonic(), time.process_time()
        machine.kernel.kexec_load(placement.request)
        loaded, spent = time.monotonic(), time.process_time() - spent
        held = _private_kib() - before
        assert machine.kernel.kexec_image is not None
        pages = machine.kernel.kexec_image.nr_pages
    seconds = {"make": made - began, "place": placed - made, "load": loaded - placed, "cpu": spent}
    return {**seconds, "held_kib": held, "pages": pages}


def _copy(source: str) -> dict[str, float]:
    """Copy the file's bytes once, from its mapping into a fresh shared mapping of memory."""
    data = map_file(source)
    target = os.memfd_create("copy")
    os.ftruncate(target, data.nbytes)
    with mmap.mmap(target, data.nbytes) as fresh:
        began, spent = time.monotonic(), time.process_time()
        fresh[:] = data
        seconds, spent = time.monotonic() - began, time.process_time() - spent
    os.close(target)
    return {"copy": seconds, "cpu": spent}


def _fastest(what: str, file: str, memory: int) -> dict[str, float]:
    """Of several runs in this process, one where the file has 256 MiB or more."""
    times = max(1, min(32, _REPEATED // max(1, Path(file).stat().st_size)))
    done = [_load(file, memory) if what == "load" else _copy(file) for _ in range(times)]
    return {**min(done, key=lambda each: each[what]), **({"held_kib": done[0]["held_kib"]} if what == "load" else {})}


def _in_own_process(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


@contextmanager
def _initrd(size: int) -> Iterator[str]:
    """A file of so many MiB."""
    with tempfile.NamedTemporaryFile() as initrd:
        block = os.urandom(_MIB)
        for _ in range(size if size <= _RANDOM else 0):
            initrd.write(block)
        initrd.truncate(size * _MIB)
        initrd.flush()
        yield initrd.name


def _compare(size: int, runs: int, figures: Figures) -> bool:
    """Print and keep the throughput at one size; whether it is as wanted."""
    free = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) >> 10
    if 9 * size // 4 > free:
        print(f"{size:,} MiB: left out: the file, and one copy of it, take more than the {free:,} MiB that are free")
        return True
    ratios, cpu, seconds = [], [], []
    with _initrd(size) as initrd:
        memory = str(max(2 << 30, 3 * size * _MIB))
        _in_own_process("--only", "copy", initrd, memory)  # not counted: the first touch of this computer's memory
        for _ in range(runs):
            ours, theirs = (_in_own_process("--only", what, initrd, memory) for what in ("load", "copy"))
            ratios.append(theirs["copy"] / ours["load"])
            cpu.append(theirs["cpu"] / ours["cpu"])
            seconds.append(ours["load"])
            print(
                f"{size:,} MiB: load {ours['load']:.4f} s ({size / ours['load']:,.0f} MiB/s),"
                f" one copy {theirs['copy']:.4f} s ({size / theirs['copy']:,.0f} MiB/s),"
                f" ratio {ratios[-1]:.2f}, of processor time {cpu[-1]:.2f},"
                f" held beyond the machine's memory {ours['held_kib'] / 1024:.1f} MiB",
                flush=True,
            )
    figures.add("the model's load", seconds, "s", amount=size, of="MiB")
    held = ours["held_kib"] / 1024
    figures.add("the model's load, memory beyond the machine's", held, "MiB", amount=size, of="MiB")
    figures.add(
        "the model's load against one memory copy, throughput by processor time",
        cpu,
        more=True,
        amount=size,
        of="MiB",
    )
    ratio = figures.add(
        "the model's load against one memory copy, throughput",
        ratios,
        more=True,
        wanted=_WANTED,
        amount=size,
        of="MiB",
    )
    print(f"{size:,} MiB: median throughput ratio {ratio.median:.2f} (at least {_WANTED} wanted)")
    return ratio.met is not False


def _largest_machine(name: str, size: int, figures: Figures) -> None:
    with _initrd(size) as initrd:
        done = _in_own_process("--only", "load", initrd, str(1 << 40))
    whole = done["make"] + done["place"] + done["load"]
    figures.add(f"a machine of 1 TiB made, and {name} placed and loaded", whole, "s")
    print(
        f"1 TiB machine, {name}: {whole:.3f} s: made in {done['make']:.3f} s, placed in {done['place']:.3f} s,"
        f" loaded in {done['load']:.3f} s ({int(done['pages'])} pages), held {done['held_kib'] / 1024:.1f} MiB"
    )


def main() -> int:
    """Print the figures; the status is 1 where a load is slower than wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="4,32,256,512,2048,8192", help="MiB of the initrds (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    figures_option(parser)
    parser.add_argument("--only", nargs=3, metavar=("load|copy", "FILE", "MEMORY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        what, file, memory = args.only
        print(json.dumps(_fastest(what, file, int(memory))))
        return 0

    figures = Figures()
    sizes = [int(each) for each in args.sizes.split(",")]
    good = [_compare(size, args.runs, figures) for size in sizes]
    for name, file_size in (("an initrd of 512 MiB", 512), ("a small initrd", 1)):
        if file_size <= max(sizes):
            _largest_machine(name, file_size, figures)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process, the mapped initrd included: {peak:.0f} MiB")
    figures.write(args.json)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
