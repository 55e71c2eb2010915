"""`warmboot dump dmesg` of a compressed dump of a machine with 2 GiB: from the shell's call to the last line.

    python bench/dmesg.py [--memory MiB] [--runs N] [--codecs zstd,zlib]

Each dump is at level 1, which leaves out nothing but zeros, in the page cache. Shown are the least and the median of
all runs, on the clock and of processors; `python -c pass` and --version beside them tell what of it is Python.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.vmcores import vmcore

_OURS = str(Path(sysconfig.get_path("scripts")) / "warmboot")
_MIB = 1 << 20


def _timed(command: Sequence[str], runs: int) -> tuple[list[float], list[float], int]:
    """Seconds on the clock and of processors of each run, and lines of output."""
    walls, cpus, lines = [], [], 0
    for _ in range(runs):
        before, began = os.times(), time.monotonic()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        walls.append(time.monotonic() - began)
        after = os.times()
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
        lines = done.stdout.count(b"\n")
    return walls, cpus, lines


def _print(name: str, walls: Sequence[float], cpus: Sequence[float], lines: int) -> None:
    shown = "".join(f"{min(each):7.3f}{statistics.median(each):8.3f}" for each in (walls, cpus))
    print(f"{name:24}{shown}{lines:8}", flush=True)


def main() -> int:
    """Print the table; the exit status is 1 where the median is not under half a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=2048, help="MiB (default: 2048)")
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--codecs", default="zstd,lzo,snappy,zlib")
    args = parser.parse_args()
    source, slow = vmcore("6.12", memory=args.memory * _MIB), False
    print(f"{'seconds':24}{'wall':>7}{'median':>8}{'cpu':>7}{'median':>8}{'lines':>8}")
    _print("python -c pass", *_timed([sys.executable, "-c", "pass"], args.runs))
    _print("warmboot --version", *_timed([_OURS, "--version"], args.runs))
    with tempfile.TemporaryDirectory() as folder:
        for codec in args.codecs.split(","):
            out = Path(folder) / codec
            subprocess.run(
                [_OURS, "dump", "save", "-d", "1", "--codec", codec, str(source), str(out)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            walls, cpus, lines = _timed([_OURS, "dump", "dmesg", str(out)], args.runs)
            _print(f"{codec}, {out.stat().st_size / _MIB:.0f} MiB", walls, cpus, lines)
            slow |= statistics.median(walls) >= 0.5
            out.unlink()
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
