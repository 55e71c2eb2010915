"""Saving a dump, against makedumpfile with the same number of threads: time, size, and memory from 2 to 8 GiB.

    python bench/dump.py [--memory MiB] [--runs N] [--threads N] [--levels 31,1] [--codecs zstd,lzo] [--no-larger]

The source is the /proc/vmcore of a Debian kernel with that much memory, a file in the page cache. Each round runs every
program once, in turn, so that all see the same neighbours; what counts is the median. makedumpfile runs as people run
it, without --num-threads, and with as many as here, which is often slower; the last two columns are its seconds for one
of ours, by the same number of threads and by the better of both. Debian builds it without snappy. Memory is the most
that all processes together ever held that is not the file (smaps: Pss_Anon and Pss_Shmem), and all of it, with windows
of the file (Pss); it is looked at a hundred times a second.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.figures import Figures, figures_option
from support.makedumpfile import makedumpfile
from support.vmcores import vmcore

_CODECS = {"zstd": "-z", "lzo": "-l", "zlib": "-c", "none": "", "snappy": "-p"}
_OURS = str(Path(sysconfig.get_path("scripts")) / "warmboot")
_MIB = 1 << 20
_THREADED = "its threads"
_SLOW_RUNS = 1  # of that, which may take a minute


@dataclass(frozen=True)
class Run:
    """One run: seconds on the clock and of processors, bytes of the file and of memory."""

    wall: float
    cpu: float
    size: int
    anonymous: int
    peak: int


def _run(command: Sequence[str], out: Path) -> Run:
    out.unlink(missing_ok=True)
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = [0, 0]
    watcher = threading.Thread(target=_watch, args=(process.pid, most))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return Run(wall, usage.ru_utime + usage.ru_stime, out.stat().st_size, most[0], most[1])


def _watch(pid: int, most: list[int]) -> None:
    """Note the most memory of a program and its children, without files and with them, looked at again and again.

    What wait4() tells of a peak counts the process that forked as well.
    """
    while True:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            held = [0, 0]
            for each in (str(pid), *children):
                told = (line.split() for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:])
                kib = {words[0]: int(words[1]) for words in told}
                held[0] += kib["Pss_Anon:"] + kib["Pss_Shmem:"] << 10
                held[1] += kib["Pss:"] << 10
            most[:] = map(max, most, held)
        except (OSError, KeyError):
            if "State:\tZ" in _status(pid):
                return
        time.sleep(0.01)


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"


def _larger(path: Path, folder: Path, times: int) -> Path:
    """A dump of a machine with so many times the memory: its last segment is there again and again, higher up."""
    out = folder / "larger"
    shutil.copyfile(path, out)
    with out.open("r+b") as file:
        head = bytearray(file.read(4096))
        [count] = struct.unpack_from("<H", head, 56)
        rows = [list(struct.unpack_from("<IIQQQQQQ", head, 64 + 56 * each)) for each in range(count)]
        largest = max((row for row in rows if row[0] == 1), key=lambda row: row[5])
        base = max(row[4] + row[6] for row in rows if row[0] == 1)
        for each in range(times - 1):
            at = (base | (1 << 30) - 1) + 1 + each * (1 << 31)
            rows.append([1, 7, largest[2], largest[3] - largest[4] + at, at, largest[5], largest[6], 0])
        packed = b"".join(struct.pack("<IIQQQQQQ", *row) for row in rows)
        notes = min(row[2] for row in rows if row[0] == 4)
        assert 64 + len(packed) <= notes
        struct.pack_into("<H", head, 56, len(rows))
        head[64 : 64 + len(packed)] = packed
        file.seek(0)
        file.write(head)
    return out


def _commands(source: Path, out: Path, level: int, codec: str, threads: int) -> dict[str, list[str]]:
    ours = [_OURS, "dump", "save", "--force", "-d", str(level), "--codec", codec, "--threads", str(threads)]
    found = {"warmboot": [*ours, str(source), str(out)]}
    if codec != "snappy":
        theirs = [*makedumpfile("sid"), "-f", "-d", str(level), *filter(None, [_CODECS[codec]])]
        found["makedumpfile"] = [*theirs, str(source), str(out)]
        found[_THREADED] = [*theirs, "--num-threads", str(threads), str(source), str(out)]
    return found


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", type=int, default=2048, help="MiB (default: 2048)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--levels", default="31,1")
    parser.add_argument("--codecs", default=",".join(_CODECS))
    parser.add_argument("--no-larger", action="store_true", help="leave out the dump of four times the memory")
    figures_option(parser)
    args = parser.parse_args()
    figures = Figures()
    source = vmcore("6.12", memory=args.memory * _MIB)
    with source.open("rb") as file:  # into the page cache
        while file.read(64 * _MIB):
            pass
    print(f"{args.memory} MiB of memory, {args.threads} threads, the median of {args.runs} runs; seconds, MiB")
    print(f"{'':28}{'wall':>7}{'cpu':>7}{'file':>8}{'anon':>6}{'peak':>6}   size  same threads, best")
    with tempfile.TemporaryDirectory() as folder:
        for level in map(int, args.levels.split(",")):
            for codec in args.codecs.split(","):
                _compare(source, Path(folder) / "out", level, codec, args, figures)
        if not args.no_larger:
            _grow(source, _larger(source, Path(folder), 4), Path(folder) / "out", args, figures)
    figures.write(args.json)
    return 0


def _compare(source: Path, out: Path, level: int, codec: str, args: argparse.Namespace, figures: Figures) -> None:
    commands = _commands(source, out, level, codec, args.threads)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(args.runs):
        for name, command in commands.items():
            if number < _SLOW_RUNS or name != _THREADED:
                runs[name].append(_run(command, out))
    theirs = runs.get("makedumpfile", [])
    what = f"dump save -d {level} --codec {codec}"
    figures.add(what, [each.wall for each in runs["warmboot"]], "s")
    if theirs:
        pairs = zip(runs["warmboot"], theirs, strict=True)
        figures.add(f"{what} against makedumpfile", [mine.wall / its.wall for mine, its in pairs], wanted=1)
    medians = {name: _median(each) for name, each in runs.items()}
    ours = medians.pop("warmboot")
    ratios = ""
    if medians:
        best = min(medians.values(), key=lambda run: run.wall)
        ratios = f"  {1:6.3f}{medians[_THREADED].wall / ours.wall:8.2f}{best.wall / ours.wall:8.2f}"
    print(f"-d {level:2} {codec:7}{'warmboot':14}{_shown(ours)}{ratios}", flush=True)
    for name, found in medians.items():
        print(f"-d {level:2} {codec:7}{name:14}{_shown(found)}  {found.size / ours.size:6.3f}", flush=True)


def _grow(source: Path, larger: Path, out: Path, args: argparse.Namespace, figures: Figures) -> None:
    print("memory, as the dumped machine grows to four times the size (-d 1, lzo)")
    name = "warmboot"  # makedumpfile leaves out memory that has no struct pages
    for path, times in ((source, 1), (larger, 4)):
        done = _run(_commands(path, out, 1, "lzo", args.threads)[name], out)
        about: dict[str, Any] = {"amount": times * args.memory, "of": "MiB"}
        figures.add("dump save -d 1 --codec lzo, by the machine's memory", done.wall, "s", **about)
        figures.add("dump save -d 1 --codec lzo, memory of its own", done.anonymous / _MIB, "MiB", **about)
        print(
            f"{path.stat().st_size // _MIB if path == source else 'larger':>12} {name:14} {_shown(done)}",
            flush=True,
        )


def _median(runs: Sequence[Run]) -> Run:
    middle = statistics.median_low(run.wall for run in runs)
    return next(run for run in runs if run.wall == middle)


def _shown(run: Run) -> str:
    return f"{run.wall:8.2f}{run.cpu:7.2f}{run.size / _MIB:8.1f}{run.anonymous / _MIB:6.0f}{run.peak / _MIB:6.0f}"


if __name__ == "__main__":
    sys.exit(main())
